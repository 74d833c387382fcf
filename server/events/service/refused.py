from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from server.events.service.ingesting import MAX_EVENTS, Ingesting
from server.frame.answers import AnswerKind
from server.frame.repeating import once_in_parts
from storage.events.records import Outcome, RefusedEvent, RefusedEventFilter
from storage.events.store import EventsConfigurationStore, EventsStore
from storage.frame.records import ChangeContext

MAX_RETRIED = MAX_EVENTS
"""Of one call."""
_AT_ONCE = 500
"""Read and retried together: each may have 64 KiB."""


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of refused events that were retried."""

    stored: int
    duplicates: int
    conflicts: int
    refused: int


RETRIED = AnswerKind("events.retried", Retried)


class RefusedEvents:
    """Events that were not stored, with the reasons, until they are retried or 30 days have passed."""

    def __init__(self, store: EventsStore, configuration: EventsConfigurationStore, ingesting: Ingesting) -> None:
        """`configuration` has the record of changes."""
        self._store = store
        self._configuration = configuration
        self._ingesting = ingesting

    async def list_latest(
        self, wanted: RefusedEventFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[RefusedEvent]:
        """The one that was first refused last first."""
        async with self._store.reading() as reading:
            return await reading.refused_events.list_latest(wanted, before=before, limit=limit)

    async def retry(self, wanted: RefusedEventFilter, context: ChangeContext) -> Retried:
        """Judges refused events anew, and stores those that pass; a repeated request gets its first answer.

        Each is stored in a transaction of the events', as when it came; all of it is recorded before the first. One
        that is interrupted goes on where it was when it is repeated. Raises Overloaded.
        """
        retry = partial(self._retry_all, replace(wanted, complete=True), context.caller_id)
        return await once_in_parts(self._configuration, context, RETRIED, retry, "refused_events")

    async def _retry_all(self, wanted: RefusedEventFilter, account_id: UUID) -> Retried:
        counts: Counter[Outcome] = Counter()
        before: tuple[datetime, UUID] | None = None
        while counts.total() < MAX_RETRIED:
            limit = min(_AT_ONCE, MAX_RETRIED - counts.total())
            found = await self.list_latest(wanted, before=before, limit=limit)
            if not found:
                break
            # What no account has sent, the server took in itself, from its modules or from webhooks.
            counts += await self._retry([each for each in found if each.account_id is None], None)
            counts += await self._retry([each for each in found if each.account_id is not None], account_id)
            before = found[-1].create_time, found[-1].id
        return Retried(
            stored=counts[Outcome.STORED],
            duplicates=counts[Outcome.DUPLICATE],
            conflicts=counts[Outcome.CONFLICT],
            refused=counts[Outcome.REFUSED],
        )

    async def _retry(self, refused: Sequence[RefusedEvent], account_id: UUID | None) -> Counter[Outcome]:
        """None is the server itself."""
        if not refused:
            return Counter()
        sent = [each.event for each in refused]
        verdicts = await self._ingesting.ingest(sent, account_id, own=account_id is None)
        outcomes = [verdict.outcome for verdict in verdicts]
        done = [each.id for each, outcome in zip(refused, outcomes, strict=True) if outcome is not Outcome.REFUSED]
        if done:
            async with self._store.transaction() as tx:
                await tx.refused_events.forget(done)
        return Counter(outcomes)
