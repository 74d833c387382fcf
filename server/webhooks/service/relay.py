from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from server.webhooks.rules import relaying as rules
from storage.webhooks.store import WebhooksStore


class Relay:
    """Turns the log of events into deliveries, each event once for each endpoint."""

    def __init__(
        self,
        store: WebhooksStore,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        page_size: Callable[[int], int] = rules.page_size,
    ) -> None:
        """`page_size` is about how many events become deliveries in one transaction, by the number of endpoints."""
        self._store = store
        self._page_size = page_size
        self._now = now
        self._new_id = new_id

    async def relay(self) -> bool:
        """Handles the next page of the log, and returns whether more has come already.

        How far it came is kept in the transaction of the deliveries, so that none is left out and none is made twice.
        Of several at a time, one does it, and for the others there is nothing to do. The first one ever begins at the
        present.
        """
        async with self._store.transaction() as tx:
            if not await tx.relay.try_lock():
                return False
            since = await tx.relay.position()
            if since is None:
                await tx.relay.move((await tx.relay.find_end()).snapshot)
                return False
            news = await tx.relay.find_news(since)
            if news.first is None:
                return False
            until = news.snapshot
            if endpoints := await tx.endpoints.share_enabled():
                until = await tx.relay.cut(since, until, self._page_size(len(endpoints)))
                events = await tx.relay.read(since, until)
                await tx.deliveries.add(rules.deliveries_of(events, endpoints, self._new_id, self._now()))
            await tx.relay.move(until)
            return until != news.snapshot
