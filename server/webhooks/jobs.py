"""webhooks' work behind the answers."""

from collections.abc import Sequence
from uuid import UUID

from server.frame.jobs import Task
from server.webhooks.service import Deliveries, DeliveryScheduler, Inbox, Purging, Relay, Sealing
from server.webhooks.service.inbox import REPUBLISH
from server.webhooks.service.scheduling import DELIVER
from storage.webhooks.records import QUEUE

_DELIVERIES_AT_ONCE = 400


def inbox_tasks(inbox: Inbox) -> Sequence[Task]:
    return (Task(REPUBLISH, inbox.republish),)


def outbox_tasks(
    relay: Relay, turns: DeliveryScheduler, deliveries: Deliveries, purging: Purging, sealing: Sealing
) -> Sequence[Task]:
    async def relay_all() -> None:
        while await relay.relay():
            await turns.schedule()
        await turns.schedule()

    async def seal() -> None:
        await sealing.seal()

    async def deliver(delivery_id: str) -> None:
        await deliveries.attempt(UUID(delivery_id))

    return (
        # An event is on its way within a second, and so is a delivery whose next attempt is due.
        Task("webhooks.relay", relay_all, every="* * * * * *"),
        Task(DELIVER, deliver, queue=QUEUE, concurrency=_DELIVERIES_AT_ONCE),
        Task("webhooks.purge", purging.purge, every="47 * * * * 0"),
        # What could not be sealed as the servers started.
        Task("webhooks.seal", seal, every="57 * * * * 0"),
    )
