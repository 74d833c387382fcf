"""commerce's work behind the answers."""

from collections.abc import Sequence
from uuid import UUID

from server.commerce.service import Orders, Paying
from server.commerce.service.deferring import PAY, REFUND, TAKE_EVENT
from server.commerce.service.orders import EXPIRE
from server.frame.jobs import Task


def tasks(orders: Orders, paying: Paying) -> Sequence[Task]:
    async def pay(payment_id: str) -> None:
        await paying.pay(UUID(payment_id))

    async def refund(refund_id: str) -> None:
        await paying.refund(UUID(refund_id))

    async def expire() -> None:
        await orders.expire_due()

    return (
        Task(PAY, pay),
        Task(REFUND, refund),
        Task(TAKE_EVENT, paying.take_event),
        # Stock that nobody pays for is free again within seconds of its time.
        Task(EXPIRE, expire, every="* * * * * *"),
    )
