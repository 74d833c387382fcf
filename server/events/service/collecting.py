from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from server.events.rules.batches import JudgedBatch
from server.events.rules.own_events import own_event
from server.events.rules.webhook_mappings import RECEIVED, mapped, received
from server.events.service.declared import DeclaredTypes
from server.events.service.partitions import Partitions
from storage.events.records import SentEvent, WebhookMapping
from storage.events.store import EventsConfigurationStore, EventsStore, EventsTransaction
from storage.frame.records import LoggedEvent

COLLECT = "events.collect"
"""The task."""
_BEGINNING = "3:3:"
"""The position before the first transaction that a database counts."""
_PAGE_EVENTS = 500


class Collecting:
    """Takes what is counted out of the log of events: what modules tell, and webhooks that are mapped; each once.

    How far it came is kept in the transaction that stores the events, so that none is left out and none is taken
    twice, also where events stand in a database of their own. The first time it begins with what the log still has.
    """

    def __init__(
        self,
        main: EventsConfigurationStore,
        data: EventsStore,
        declared: DeclaredTypes,
        partitions: Partitions,
        modules: Mapping[str, str],
        now: Callable[[], datetime],
        *,
        page_size: int = _PAGE_EVENTS,
    ) -> None:
        """`modules` has the types of those events that are counted, each with the module that tells it.

        `page_size` is about how many events of the log are looked through in one transaction.
        """
        self._main = main
        self._data = data
        self._declared = declared
        self._partitions = partitions
        self._modules = modules
        self._now = now
        self._page_size = page_size

    async def collect(self) -> bool:
        """Takes the next page of the log, and returns whether more has come already.

        Of several at a time, one does it, and for the others there is nothing to do.
        """
        async with self._main.reading() as reading:
            mappings = {RECEIVED + each.webhook_source: each for each in await reading.webhook_mappings.list_all()}
        if not self._modules and not mappings:
            return False
        async with self._data.transaction() as tx:
            if not await tx.collected.try_lock():
                return False
            before = self._main.primaries_seen
            page = await self._page(await tx.collected.position(), [*self._modules, *mappings])
            if page is None:
                return False
            events, until, more = page
            if events:
                await self._store(tx, [self._event(each, mappings) for each in events])
                # What the log has must be there after a failover, too, before it is counted.
                await self._main.wait_for_standby(before)
            await tx.collected.move(until)
            return more

    async def _page(self, since: str | None, types: Sequence[str]) -> tuple[Sequence[LoggedEvent], str, bool] | None:
        """The next events of these types, up to where they were read, and whether there are more; None for none."""
        async with self._main.snapshot_reading() as reading:
            log = reading.event_log
            if since is None or not await log.is_past(since):
                since = _BEGINNING
            news = await log.find_news(since)
            if news.first is None:
                return None
            until = await log.cut(since, news.snapshot, self._page_size)
            return await log.read(since, until, types), until, until != news.snapshot

    def _event(self, logged: LoggedEvent, mappings: Mapping[str, WebhookMapping]) -> SentEvent:
        mapping = mappings.get(logged.type)
        if mapping is not None:
            return mapped(mapping, received(logged))
        return own_event(logged, self._modules[logged.type])

    async def _store(self, tx: EventsTransaction, sent: Sequence[SentEvent]) -> None:
        now = self._now()
        batch = JudgedBatch(sent, await self._declared.judge(), None, now, own=True)
        batch.refuse_days(await self._partitions.ensure(event.time for event in batch.events))
        if batch.events:
            await tx.ingest.store(batch.events, now)
        await tx.refused_events.keep(batch.refused)
