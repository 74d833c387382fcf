"""The database: the pool of connections to one PostgreSQL, and the stores on it; it knows no module."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import text

from storage.connector import Connector, Opening
from storage.frame.records import AuditKey
from storage.laws import Finding, Law, LawReader
from storage.notifications import Notifications
from storage.pool import Pool
from storage.pooler import Pooler
from storage.store import ONE_MOMENT, R_co, Store, StoreKind, T_co
from storage.time_limits import TimeLimits

_LOOK = text(
    "SELECT to_regclass('public.alembic_version') IS NOT NULL,"
    " pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean"
)
_REVISION = text("SELECT version_num FROM alembic_version")

POOL_SIZE = 10
"""Connections of one server, in addition to its dedicated one."""


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """The state of a database."""

    revision: str | None
    """The migration that it is at; None where none was applied."""
    read_only: bool
    """Whether it takes no changes: a standby, or set so."""


class Database:
    """A pool of connections to one PostgreSQL; what stands apart has another such database of its own.

    Every error that it raises is one of `storage.errors`, or a defect.
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
        direct_url: str | None = None,
        apart: Mapping[str, "Database"] = MappingProxyType({}),
    ) -> None:
        """Raises ValueError where a URL is malformed.

        `audit_key` signs the record; without one, nothing can be changed that leaves an entry there.

        `pooler` is the connection pooler in between, and `direct_url` leads past it: notifications are heard there.
        `opening` is entered around the opening of each connection.

        There is no connection to a database that belongs to another than `issuer`; None is let into any.

        `apart` are the databases of what stands apart, by its names; they are closed with this one.
        """
        self.apart = apart
        self._audit_key = audit_key
        self.limits = limits

        def connector(url: str, pooler: Pooler) -> Connector:
            return Connector(
                url, application_name=application_name, pooler=pooler, issuer=issuer, limits=limits, opening=opening
            )

        by_url = connector(url, pooler)
        self._pool = Pool(by_url, pool_size, commit_seconds=limits.answer)
        self._direct = connector(direct_url, Pooler.NONE) if direct_url else None
        listens = by_url if pooler is not Pooler.TRANSACTION else None
        self.notifications = Notifications(self._direct or listens)

    @property
    def commits_overdue(self) -> bool:
        """Whether a commit waits for so long to be confirmed that it was abandoned, or soon will be."""
        return self._pool.commits_overdue

    def store(self, kind: StoreKind[R_co, T_co]) -> Store[R_co, T_co]:
        """The way to what one module keeps, such as `database.store(COMMERCE)`, in whichever database it stands."""
        own = self.apart.get(kind.apart)
        if own is not None:
            return own.store(kind)
        return Store(self._pool, kind, self._audit_key)

    async def check(self, laws: Sequence[Law]) -> Sequence[Finding]:
        """The state of laws, in their order; those of one database are checked in one snapshot, in which nothing
        changes."""
        mine = [law for law in laws if law.apart not in self.apart]
        async with self._pool.connected(**ONE_MOMENT) as connection:
            found = dict(zip(mine, await LawReader(connection).check(mine), strict=True))
        for name, own in self.apart.items():
            theirs = [law for law in laws if law.apart == name]
            found |= zip(theirs, await own.check(theirs), strict=True)
        return [found[law] for law in laws]

    async def revision(self) -> str | None:
        """The migration that the database is at; None where none was applied."""
        return (await self.status()).revision

    async def status(self) -> DatabaseStatus:
        """The state of the database, read by a connection of the pool that all calls use."""
        async with self._pool.connected(isolation_level="AUTOCOMMIT") as connection:
            exists, read_only = (await connection.execute(_LOOK)).one()
            if not exists:
                return DatabaseStatus(None, read_only)
            return DatabaseStatus((await connection.execute(_REVISION)).scalar(), read_only)

    async def close(self) -> None:
        """Ends all connections; abandoned commits are waited for no longer."""
        for own in self.apart.values():
            await own.close()
        await self._pool.close()
        if self._direct is not None:
            await self._direct.close()
