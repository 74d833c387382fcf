"""What one transaction, or one reading, reaches: the frame's repositories; each module's own adds its own to them."""

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.durability import COMMITS_WAIT, WAIT_FOR_STANDBY
from storage.frame.records import AuditKey
from storage.frame.repository import (
    AccountDeletionReader,
    AccountDeletionRepository,
    AuditChainReader,
    AuditChainRepository,
    AuditReader,
    AuditRepository,
    EnvironmentReader,
    EnvironmentRepository,
    EventLogReader,
    EventRepository,
    InboxReader,
    InboxRepository,
    JobReader,
    JobRepository,
    PersonalDataReader,
    PersonalDataRepository,
    RequestReader,
    RequestRepository,
)

Of = TypeVar("Of")


def on_connection(kind: Callable[[AsyncConnection], Of]) -> cached_property[Of]:
    """A reader or a repository, as an attribute of a reading or a transaction: made on its connection when first used.

    A module's `store.py` adds its own by it: `products = on_connection(ProductReader)`.
    """

    def made(self: "Reading") -> Of:
        return kind(self._connection)

    return cached_property(made)


class Reading:
    """What can be read; its readers have no method that changes or locks anything."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def commits_wait(self) -> bool:
        """Whether commits wait for a synchronous standby."""
        return bool(await self._connection.scalar(select(COMMITS_WAIT)))

    @cached_property
    def audit(self) -> AuditReader:
        return AuditReader(self._connection)

    account_deletions = on_connection(AccountDeletionReader)
    audit_chain = on_connection(AuditChainReader)
    environment = on_connection(EnvironmentReader)
    event_log = on_connection(EventLogReader)
    inbox = on_connection(InboxReader)
    jobs = on_connection(JobReader)
    personal_data = on_connection(PersonalDataReader)
    requests = on_connection(RequestReader)


class Transaction(Reading):
    """What can be read and changed, all of it or nothing."""

    def __init__(self, connection: AsyncConnection, audit_key: AuditKey | None = None) -> None:
        super().__init__(connection)
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

    account_deletions = on_connection(AccountDeletionRepository)
    audit_chain = on_connection(AuditChainRepository)
    environment = on_connection(EnvironmentRepository)
    events = on_connection(EventRepository)
    inbox = on_connection(InboxRepository)
    jobs = on_connection(JobRepository)
    personal_data = on_connection(PersonalDataRepository)
    requests = on_connection(RequestRepository)
