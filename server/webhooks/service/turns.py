from collections.abc import Callable
from datetime import datetime

from server.webhooks.rules import turns as rules
from storage.frame.records import Job
from storage.webhooks.records import QUEUE, Turn
from storage.webhooks.store import WebhooksStore

DELIVER = "webhooks.deliver"


class Turns:
    """Puts those deliveries into the queue of jobs whose turn it is."""

    def __init__(self, store: WebhooksStore, now: Callable[[], datetime], random: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._random = random

    async def give(self) -> None:
        """Of several at a time, one does it, and for the others there is nothing to do.

        The endpoints are locked before the queue is looked at, so that a delivery which another one passes its turn on
        to is seen there.
        """
        now = self._now()
        async with self._store.transaction() as tx:
            if not await tx.deliveries.try_lock_turns():
                return
            if not (endpoints := await tx.endpoints.lock_due(now)):
                return
            ids = [endpoint.id for endpoint in endpoints]
            queued = await tx.deliveries.list_queued(ids, now)
            due = await tx.deliveries.list_due(ids, now, each=rules.SLOTS)
            await tx.jobs.defer([job(turn) for turn in rules.turns(endpoints, due, queued, now, self._random)])


def job(turn: Turn) -> Job:
    return Job(DELIVER, {"delivery_id": str(turn.delivery_id)}, QUEUE)
