from collections.abc import Callable
from datetime import datetime

from server.webhooks.rules import scheduling as rules
from storage.frame.records import Job
from storage.webhooks.records import QUEUE, ScheduledDelivery
from storage.webhooks.store import WebhooksStore

DELIVER = "webhooks.deliver"


class DeliveryScheduler:
    """Puts those deliveries into the queue of jobs whose turn it is."""

    def __init__(self, store: WebhooksStore, now: Callable[[], datetime], random: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._random = random

    async def schedule(self) -> None:
        """Of several at a time, one does it, and for the others there is nothing to do.

        The endpoints are locked before the queue is looked at, so that a delivery which another one passes its turn on
        to is seen there.
        """
        now = self._now()
        async with self._store.transaction() as tx:
            if not await tx.deliveries.try_lock_scheduling():
                return
            if not (endpoints := await tx.endpoints.lock_due(now)):
                return
            ids = [endpoint.id for endpoint in endpoints]
            queued = await tx.deliveries.list_queued(ids, now)
            due = await tx.deliveries.list_due(ids, now, each=rules.SLOTS)
            await tx.jobs.defer(
                [job(scheduled) for scheduled in rules.next_deliveries(endpoints, due, queued, now, self._random)]
            )


def job(scheduled: ScheduledDelivery) -> Job:
    return Job(DELIVER, {"delivery_id": str(scheduled.delivery_id)}, QUEUE)
