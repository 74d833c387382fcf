"""Concurrent payments: a response, a confirmation and three copies of a webhook race for each."""

import asyncio
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from backroom.commerce.v1 import orders_pb2, payment_service_pb2, payments_pb2
from server.commerce.providers.sandbox import SandboxProvider
from server.commerce.service.comparing import Comparing
from storage.commerce.store import COMMERCE
from storage.store import FRAME
from tests.commerce.goods import ask, cancelled, placed, stock_of, stocked
from tests.fixtures.trading import Shop, eventually, tell
from tests.invariants import assert_whole

CALLERS = 32
TAKEN = {payments_pb2.PAYMENT_STATE_CAPTURED}


async def undone(shop: Shop, task: str = "commerce.") -> int:
    """How many jobs of a task, or of all of commerce's, wait or run."""
    async with shop.server.database.store(FRAME).reading() as tx:
        return sum(job.task.startswith(task) for job in await tx.jobs.list_undone(10_000))


async def books(shop: Shop) -> list[dict[str, Any]]:
    """All payments in the provider's ledger."""
    told: list[dict[str, Any]] = []
    while True:
        after = {"after": told[-1]["id"]} if told else {}
        page = (await shop.sandbox.control.get("/v1/payments", params=after)).json()["payments"]
        if not page:
            return told
        told += page


async def known(shop: Shop, payment: payments_pb2.Payment) -> payments_pb2.Payment:
    """The payment, once the provider has responded."""
    return await eventually(lambda: shop.payment(payment.payment_id), lambda seen: bool(seen.provider_payment_id))


async def bought(shop: Shop) -> None:
    """An order, placed and paid, whose customer confirms repeatedly."""
    seller = shop.seller
    order = (await seller.orders.PlaceOrder(ask(("TEA", 1), ("MUG", 2)))).order
    payment = await shop.pay(order)
    confirm = payment_service_pb2.ConfirmPaymentRequest(payment_id=payment.payment_id)
    while payment.state not in TAKEN:
        payment = (await seller.payments.ConfirmPayment(confirm)).payment
        await asyncio.sleep(0.01)


@pytest.mark.long
@pytest.mark.parametrize("orders", [150, pytest.param(5_000, marks=pytest.mark.proof)])
async def test_each_order_is_paid_by_one_capture(shop: Shop, orders: int) -> None:
    """The provider's ledger equals ours exactly; nothing is taken twice, and no order is lost."""
    await shop.sandbox.behave(webhook_copies=3, webhook_shuffle=True)
    for sku in ("TEA", "MUG"):
        await stocked(shop.seller, sku, 3 * orders)
    asked = iter(range(orders))

    async def customer() -> None:
        for _ in asked:
            await bought(shop)

    await asyncio.gather(*(customer() for _ in range(CALLERS)))
    await eventually(lambda: undone(shop), lambda left: not left, within=120)
    told = await books(shop)
    assert len(told) == orders
    assert {(Decimal(each["captured"]), Decimal(each["refunded"])) for each in told} == {(Decimal("7.65"), Decimal(0))}
    assert await stock_of(shop.seller, "TEA") == (2 * orders, 0, 2 * orders)
    assert await stock_of(shop.seller, "MUG") == (orders, 0, orders)
    provider = SandboxProvider(shop.sandbox.url, shop.sandbox.key)
    comparison = await Comparing(shop.server.database.store(COMMERCE)).compare(provider)
    await provider.close()
    assert (comparison.compared, comparison.differing) == (orders, [])
    await assert_whole(shop.server.database)


async def test_all_orders_of_a_payments_webhooks_lead_to_one_state(shop: Shop) -> None:
    """Authorized, captured, refunded and failed, in each of the 24 orders, each sent twice over the real receiver."""
    await shop.sandbox.behave(webhook_url="")
    await stocked(shop.seller, "TEA", 100)
    turns = list(permutations(["authorized", "captured", "refunded", "failed"]))
    paid: list[tuple[orders_pb2.Order, payments_pb2.Payment]] = []
    for _ in turns:
        order = await placed(shop.seller, ("TEA", 1))
        paid.append((order, await known(shop, await shop.pay(order, "card_later"))))
    for turn, (_, payment) in zip(turns, paid, strict=True):
        for happened in turn:
            event_id = f"evt_{uuid4().hex}"
            for _ in range(2):
                assert await tell(shop.server.http, event_id, happened, payment) == 204
    await eventually(lambda: undone(shop, "commerce.take_payment_event"), lambda left: not left)
    for order, payment in paid:
        after = await shop.payment(payment.payment_id)
        assert after.state == payments_pb2.PAYMENT_STATE_REFUNDED
        assert after.refunded_amount == after.captured_amount == order.total
    assert await stock_of(shop.seller, "TEA") == (100 - len(turns), 0, 100 - len(turns))
    await assert_whole(shop.server.database)


async def test_two_concurrent_payments_of_one_order_are_one(shop: Shop) -> None:
    """However many callers try to pay one order, one payment starts, and the others learn of it."""
    await stocked(shop.seller, "TEA", 1)
    order = await placed(shop.seller, ("TEA", 1))
    begun = await asyncio.gather(*(shop.pay(order) for _ in range(16)), return_exceptions=True)
    [one] = [each for each in begun if isinstance(each, payments_pb2.Payment)]
    await shop.settled(one, "CAPTURED")
    assert len(await books(shop)) == 1
    await assert_whole(shop.server.database)


async def test_cancelling_and_capturing_race_to_a_consistent_end(shop: Shop) -> None:
    """Whichever is first: the goods are returned and no money is kept."""
    await stocked(shop.seller, "TEA", 50)
    orders = [await placed(shop.seller, ("TEA", 1)) for _ in range(50)]
    await asyncio.gather(*map(shop.pay, orders))

    async def cancel(order: orders_pb2.Order, after: float) -> None:
        await asyncio.sleep(after)
        await cancelled(shop.seller, order)

    await asyncio.gather(*(cancel(order, place * 0.01) for place, order in enumerate(orders)))
    await eventually(lambda: undone(shop), lambda left: not left)
    assert await stock_of(shop.seller, "TEA") == (50, 0, 50)
    assert all(Decimal(each["captured"]) == Decimal(each["refunded"]) for each in await books(shop))
    await assert_whole(shop.server.database)
