"""One module's way to what is kept: its own repositories and the frame's, and no other's."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from storage.errors import StoreUnavailable
from storage.frame.records import AuditKey
from storage.pool import Pool
from storage.problems import DatabaseProblem, ProblemKind
from storage.timelines import Seen
from storage.transaction import Reading, Transaction

R_co = TypeVar("R_co", bound=Reading, covariant=True)
T_co = TypeVar("T_co", bound=Transaction, covariant=True)

ONE_MOMENT: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""What a connection is opened with whose statements all see the same moment."""


@dataclass(frozen=True, slots=True)
class StoreKind(Generic[R_co, T_co]):
    """Whose repositories a store reaches: those of this reading, and of this transaction."""

    reading: type[R_co]
    transaction: type[T_co]
    apart: str = ""
    """By which name a deployment can have it stand in a database of its own; empty where it never does."""


class Store(Generic[R_co, T_co]):
    """Readings and transactions of one kind; `Database.store` makes it.

    What takes a `Store[Reading, Transaction]`, as the frame does, takes any module's.
    """

    def __init__(self, pool: Pool, kind: StoreKind[R_co, T_co], audit_key: AuditKey | None) -> None:
        """`audit_key` signs the record; without one, nothing can be changed that leaves an entry there."""
        self._pool = pool
        self._kind = kind
        self._audit_key = audit_key

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[T_co]:
        """A transaction that commits at the end of the block, and leaves nothing behind if the block raises.

        See `Pool.transaction` for what a cancelled caller, and one whose commit is not confirmed, can rely on.
        """
        async with self._pool.transaction() as connection:
            yield self._kind.transaction(connection, self._audit_key)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[R_co]:
        """For questions that are one statement each: no transaction is opened around them."""
        async with self._pool.connected(isolation_level="AUTOCOMMIT") as connection:
            yield self._kind.reading(connection)

    @asynccontextmanager
    async def snapshot_reading(self) -> AsyncIterator[R_co]:
        """For questions that are several statements, all of which see the same moment."""
        async with self._pool.connected(**ONE_MOMENT) as connection:
            yield self._kind.reading(connection)

    @asynccontextmanager
    async def dedicated_reading(self) -> AsyncIterator[R_co]:
        """A reading on a connection of its own, for the one question that must not wait while all others are taken."""
        async with self._pool.connected(dedicated=True, isolation_level="AUTOCOMMIT") as connection:
            yield self._kind.reading(connection)

    @property
    def primaries_seen(self) -> Seen:
        """Which primaries its connections have led to so far."""
        return self._pool.timelines.seen

    async def wait_for_standby(self, before: Seen) -> None:
        """Returns once the synchronous standby, if there is one, has all that was read since `before`.

        For what is answered or done outside because of it; `before` is `primaries_seen` from before the first reading.
        Raises StoreUnavailable where that cannot be known.
        """
        async with self.reading() as reading:
            commits_wait = await reading.commits_wait()
        if commits_wait:
            await self.commit_on_standby(before)
        else:
            self.ensure_no_promotion(before)

    async def commit_on_standby(self, before: Seen) -> None:
        """The same, where it is known that commits wait for a standby."""
        # By a commit, whose end a cancelled caller waits for: a session that PostgreSQL has waiting does not end
        # with its connection, and each repetition would leave one behind.
        async with self.transaction() as tx:
            await tx.wait_for_standby()
        self.ensure_no_promotion(before)

    def ensure_no_promotion(self, before: Seen) -> None:
        """Raises StoreUnavailable where one was seen since: what was read then may be on the old primary alone."""
        if self._pool.timelines.has_promotion_since(before):
            raise StoreUnavailable(DatabaseProblem(ProblemKind.LOST, "a standby was promoted meanwhile"))


FRAME = StoreKind(Reading, Transaction)
FrameStore: TypeAlias = Store[Reading, Transaction]
