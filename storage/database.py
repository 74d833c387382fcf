"""The database: connections, transactions, and the repositories that share one."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import event, select, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from storage.commerce.repository import (
    OrderChangeReader,
    OrderRepository,
    PaymentRepository,
    ProductRepository,
    StockChangeReader,
    StockRepository,
)
from storage.commits import Commits
from storage.connector import Connector, Opening
from storage.durability import WAIT_FOR_STANDBY
from storage.errors import translated
from storage.frame.records import AuditKey
from storage.frame.repository import (
    AuditChainRepository,
    AuditRepository,
    EnvironmentRepository,
    EventRepository,
    InboxRepository,
    JobRepository,
    RequestRepository,
)
from storage.identity.repository import (
    AccessChangeRepository,
    AccountRepository,
    ApiKeyRepository,
    AttemptRepository,
    KeyRepository,
    MailRepository,
    MailTokenRepository,
    RoleRepository,
    SessionRepository,
    StandingReader,
)
from storage.invariants import InvariantRepository
from storage.pooler import Pooler
from storage.time_limits import TimeLimits
from storage.webhooks.repository import DeliveryRepository, EndpointRepository, RelayRepository

_ONE_MOMENT: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

_LOOK = text(
    "SELECT to_regclass('public.alembic_version') IS NOT NULL,"
    " pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean"
)
_REVISION = text("SELECT version_num FROM alembic_version")

POOL_SIZE = 10
"""Connections of one server, beside the one that it keeps apart."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a database stands."""

    revision: str | None
    """The migration that it stands at; None where none was applied."""
    read_only: bool
    """Whether it takes no changes: a standby, or set so."""


class Transaction:
    """One transaction, and every module's repositories on it."""

    def __init__(self, connection: AsyncConnection, audit_key: AuditKey | None = None) -> None:
        self._connection = connection
        self._audit_key = audit_key

    async def wait_for_standby(self) -> None:
        """Has the end of this transaction wait for the synchronous standby, if there is one, though it writes nothing.

        For an answer by which a caller takes an earlier change for done: one that can be read may still be undone by a
        promotion.
        """
        await self._connection.execute(select(WAIT_FOR_STANDBY))

    @cached_property
    def audit(self) -> AuditRepository:
        return AuditRepository(self._connection, self._audit_key)

    @cached_property
    def audit_chain(self) -> AuditChainRepository:
        return AuditChainRepository(self._connection)

    @cached_property
    def environment(self) -> EnvironmentRepository:
        return EnvironmentRepository(self._connection)

    @cached_property
    def requests(self) -> RequestRepository:
        return RequestRepository(self._connection)

    @cached_property
    def events(self) -> EventRepository:
        return EventRepository(self._connection)

    @cached_property
    def jobs(self) -> JobRepository:
        return JobRepository(self._connection)

    @cached_property
    def accounts(self) -> AccountRepository:
        return AccountRepository(self._connection)

    @cached_property
    def access_changes(self) -> AccessChangeRepository:
        return AccessChangeRepository(self._connection)

    @cached_property
    def standings(self) -> StandingReader:
        return StandingReader(self._connection)

    @cached_property
    def roles(self) -> RoleRepository:
        return RoleRepository(self._connection)

    @cached_property
    def sessions(self) -> SessionRepository:
        return SessionRepository(self._connection)

    @cached_property
    def api_keys(self) -> ApiKeyRepository:
        return ApiKeyRepository(self._connection)

    @cached_property
    def keys(self) -> KeyRepository:
        return KeyRepository(self._connection)

    @cached_property
    def attempts(self) -> AttemptRepository:
        return AttemptRepository(self._connection)

    @cached_property
    def mail_tokens(self) -> MailTokenRepository:
        return MailTokenRepository(self._connection)

    @cached_property
    def mails(self) -> MailRepository:
        return MailRepository(self._connection)

    @cached_property
    def products(self) -> ProductRepository:
        return ProductRepository(self._connection)

    @cached_property
    def stock(self) -> StockRepository:
        return StockRepository(self._connection)

    @cached_property
    def orders(self) -> OrderRepository:
        return OrderRepository(self._connection)

    @cached_property
    def payments(self) -> PaymentRepository:
        return PaymentRepository(self._connection)

    @cached_property
    def inbox(self) -> InboxRepository:
        return InboxRepository(self._connection)

    @cached_property
    def endpoints(self) -> EndpointRepository:
        return EndpointRepository(self._connection)

    @cached_property
    def deliveries(self) -> DeliveryRepository:
        return DeliveryRepository(self._connection)

    @cached_property
    def relay(self) -> RelayRepository:
        return RelayRepository(self._connection)

    @cached_property
    def order_changes(self) -> OrderChangeReader:
        return OrderChangeReader(self._connection)

    @cached_property
    def stock_changes(self) -> StockChangeReader:
        return StockChangeReader(self._connection)


class Database:
    """A pool of connections to one PostgreSQL.

    Every error that rises out of it is one of `storage.errors`, or a defect.
    """

    def __init__(
        self,
        url: str,
        *,
        audit_key: AuditKey | None = None,
        pool_size: int = POOL_SIZE,
        application_name: str = "backroom",
        pooler: Pooler = Pooler.NONE,
        issuer: str | None = None,
        opening: Opening = nullcontext,
        limits: TimeLimits = TimeLimits(),  # noqa: B008 - it is frozen
    ) -> None:
        """Raises ValueError where the URL is malformed.

        `audit_key` signs the record; without one, nothing can be changed that leaves an entry there.

        `pooler` is what stands between, and `opening` stands around the opening of each connection.

        There is no connection to a database that belongs to another than `issuer`; None is let into any.
        """
        self._audit_key = audit_key
        self.limits = limits
        self._connector = Connector(
            url, application_name=application_name, pooler=pooler, issuer=issuer, limits=limits, opening=opening
        )
        self._engine = _engine(pool_size, self._connector)
        self._engine_apart = _engine(1, self._connector)
        # As many connections as are left by those that wait, so that readings go on meanwhile.
        self._commits = Commits(limits.answer, most_waiting=max(1, pool_size // 2))

    @property
    def commits_overdue(self) -> bool:
        """Whether a commit waits for so long to be confirmed that it was given up, or soon will be."""
        return self._commits.overdue

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction that commits at the end of the block, and leaves nothing behind if the block raises.

        Once the commit has begun, a cancelled caller waits for its end: otherwise the row might stand and nobody be
        told of it. Where that takes too long, or the wait for a synchronous standby is cut short, StoreUnavailable is
        raised, and nobody knows whether it will stand.
        """
        with translated():
            async with self._commits.connected(self._engine) as connection:
                await connection.begin()
                yield Transaction(connection, self._audit_key)
                await self._commits.commit(connection)

    async def wait_for_standby(self) -> None:
        """Returns once the synchronous standby, if there is one, has all that was read before.

        For what is answered or done outside because of it. Raises StoreUnavailable where that cannot be known.
        """
        # By a commit, whose end a cancelled caller waits for: a session that PostgreSQL has waiting does not end with
        # its connection, and each repetition would leave one behind.
        async with self.transaction() as tx:
            await tx.wait_for_standby()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[InvariantRepository]:
        """The laws of all that is kept, to be checked in one snapshot, in which nothing changes."""
        async with self._connected(**_ONE_MOMENT) as connection:
            yield InvariantRepository(connection)

    @asynccontextmanager
    async def reading_at_once(self) -> AsyncIterator[Transaction]:
        """Repositories for questions that are several statements, all of which see the same moment."""
        async with self._connected(**_ONE_MOMENT) as connection:
            yield Transaction(connection, self._audit_key)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Repositories for questions that are one statement each: no transaction is opened around them."""
        async with self._connected(isolation_level="AUTOCOMMIT") as connection:
            yield Transaction(connection, self._audit_key)

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[Transaction]:
        """The same on a connection of its own, for the one question that must not wait while all others are taken."""
        async with self._connected(self._engine_apart, isolation_level="AUTOCOMMIT") as connection:
            yield Transaction(connection, self._audit_key)

    async def revision(self) -> str | None:
        """The migration that the database stands at; None where none was applied."""
        return (await self.look()).revision

    async def look(self) -> Look:
        """How the database stands, asked by a connection of the pool that all calls use."""
        async with self._connected(isolation_level="AUTOCOMMIT") as connection:
            exists, read_only = (await connection.execute(_LOOK)).one()
            if not exists:
                return Look(None, read_only)
            return Look((await connection.execute(_REVISION)).scalar(), read_only)

    async def close(self) -> None:
        """Ends all connections; commits that were given up are waited for no longer."""
        await self._commits.close()
        await self._engine.dispose()
        await self._engine_apart.dispose()
        await self._connector.close()

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine | None = None, **options: Any) -> AsyncIterator[AsyncConnection]:
        """A connection with these options until the block ends.

        They are set once the connection is in our hands: where the engine sets them while it takes one out of the pool,
        a caller that is cancelled just then leaves the connection to the garbage collector.
        """
        with translated():
            async with (engine or self._engine).connect() as connection:
                try:
                    await connection.execution_options(**options)
                except asyncio.CancelledError:
                    # Nobody knows how far that came: the pool must not hand it to the next one.
                    await connection.invalidate()
                    raise
                yield connection


def _engine(pool_size: int, connector: Connector) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=connector.open,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        # An error's text must never carry the values of a row: it may end in a log.
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def check_out(connection: Any, *_: object) -> None:
        """Has the pool open another one in the place of one that was given up while nobody used it."""
        if connection.driver_connection.given_up:
            raise DisconnectionError(connection.driver_connection.given_up)

    return engine
