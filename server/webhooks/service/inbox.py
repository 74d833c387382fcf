from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from server.webhooks.rules.headers import Headers
from server.webhooks.rules.relaying import received_event
from server.webhooks.rules.schemes import scheme_of
from server.webhooks.rules.sources import Source
from storage.frame.records import Job, ReceivedEvent
from storage.webhooks.store import WebhooksStore

REPUBLISH = "webhooks.republish"


class Inbox:
    """Takes what others tell us, each event once, and leaves it to a job."""

    def __init__(
        self, store: WebhooksStore, sources: Iterable[Source], tasks: Mapping[str, str], now: Callable[[], datetime]
    ) -> None:
        """`tasks` names by source the task that takes its events up; those of other sources are republished.

        The task is given the source and the event_id, and marks the event as processed in the transaction of its
        effect.
        """
        self._store = store
        self._sources = {source.name: source for source in sources}
        self._schemes = {name: scheme_of(source.scheme) for name, source in self._sources.items()}
        self._tasks = tasks
        self._now = now

    def source(self, name: str) -> Source | None:
        return self._sources.get(name)

    def verified(self, source: Source, headers: Headers, body: bytes) -> ReceivedEvent:
        """What the source signed; raises SignatureInvalid."""
        now = self._now()
        event_id = self._schemes[source.name](headers, body, source.secrets, now)
        return ReceivedEvent(source.name, event_id, body, now)

    async def receive(self, requests: Sequence[ReceivedEvent]) -> Sequence[bool]:
        """Keeps events with the job of each, all in one transaction, and says of each whether it was new.

        Of one that came before, the first body stands, and no second job is deferred; it is as durable as when it
        was new once this returns.
        """
        async with self._store.transaction() as tx:
            new = await tx.inbox.add(requests)
            if not new:
                await tx.wait_for_standby()
            await tx.jobs.defer(
                [self._job(*key) for key in dict.fromkeys(request.key for request in requests) if key in new]
            )
        firsts = {request.key: place for place, request in reversed([*enumerate(requests)])}
        return [request.key in new and firsts[request.key] == place for place, request in enumerate(requests)]

    async def republish(self, source: str, event_id: str) -> None:
        """Publishes an event to our own callers; nothing where that was done before."""
        now = self._now()
        async with self._store.transaction() as tx:
            body = await tx.inbox.find(source, event_id)
            if body is not None and await tx.inbox.finish(source, event_id, now):
                await tx.events.publish([received_event(source, event_id, body, now)])

    def _job(self, source: str, event_id: str) -> Job:
        # Mostly they tell what we know by an answer, and can wait for what we have been asked to do.
        return Job(self._tasks.get(source, REPUBLISH), {"source": source, "event_id": event_id}, priority=-1)
