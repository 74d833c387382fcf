from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

from server.frame.answers import AnswerKind
from server.frame.repeating import once_in_parts
from storage.events.store import EventsConfigurationStore, EventsStore, EventsTransaction
from storage.frame.records import ChangeContext

_AT_ONCE = 2_000
"""Events deleted in one transaction."""


@dataclass(frozen=True, slots=True)
class DeletedSubject:
    """How much was deleted of a subject."""

    events: int
    refused_events: int


DELETED_SUBJECT = AnswerKind("events.deleted_subject", DeletedSubject)


def resource_of(subject: str) -> str:
    """How the record names a subject: by a hash, since it keeps what it names, and a subject may be an address."""
    return f"event_subject/{blake2b(subject.encode(), digest_size=16).hexdigest()}"


class Deleting:
    """Deletes what there is of a subject, wherever it is."""

    def __init__(self, store: EventsStore, configuration: EventsConfigurationStore) -> None:
        """`configuration` has the record of changes."""
        self._store = store
        self._configuration = configuration

    async def delete(self, subject: str, context: ChangeContext) -> DeletedSubject:
        """How much was deleted now; a repeated request gets its first answer.

        It is recorded before anything is deleted: one that is interrupted goes on where it was when it is repeated.
        """
        erase = partial(self.erase, subject)
        return await once_in_parts(self._configuration, context, DELETED_SUBJECT, erase, resource_of(subject))

    async def erase(self, subject: str) -> DeletedSubject:
        """The same without a record: for an account's data, of which the account's deletion is recorded."""
        return DeletedSubject(
            events=await self._all(lambda tx: tx.stored_events.delete_subject(subject, _AT_ONCE)),
            refused_events=await self._all(lambda tx: tx.refused_events.delete_subject(subject, _AT_ONCE)),
        )

    async def _all(self, some: Callable[[EventsTransaction], Awaitable[int]]) -> int:
        total, count = 0, 1
        while count:
            async with self._store.transaction() as tx:
                count = await some(tx)
            total += count
        return total
