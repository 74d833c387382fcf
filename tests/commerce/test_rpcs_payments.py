"""Paying and refunding an order, with the real sandbox as a separate process."""

import asyncio
from uuid import uuid4

import grpc
import pytest

from backroom.commerce.v1 import order_service_pb2, orders_pb2, payment_service_pb2, payments_pb2
from server.commerce.providers.port import PaymentReport
from server.commerce.providers.sandbox import SandboxProvider
from tests.commerce.goods import cancelled, found, placed, pounds, raw, stock_of, stocked
from tests.fixtures.servers import Api, refusal
from tests.fixtures.trading import Shop, eventually
from tests.invariants import assert_whole

CREATE = payment_service_pb2.CreatePaymentRequest
REFUND = payment_service_pb2.RefundPaymentRequest


async def state_of(shop: Shop, order: orders_pb2.Order) -> str:
    return orders_pb2.OrderState.Name((await found(shop.seller, order.order_id)).state).removeprefix("ORDER_STATE_")


async def becomes(shop: Shop, order: orders_pb2.Order, state: str) -> None:
    await eventually(lambda: state_of(shop, order), lambda seen: seen == state)


async def sold(shop: Shop, pieces: int = 3) -> tuple[orders_pb2.Order, payments_pb2.Payment]:
    """A paid order of this many of ten TEA."""
    await stocked(shop.seller, "TEA", 10)
    order = await placed(shop.seller, ("TEA", pieces))
    return order, await shop.settled(await shop.pay(order), "CAPTURED")


async def refunded(shop: Shop, payment: payments_pb2.Payment, **rest: object) -> payments_pb2.Payment:
    """The payment, once the provider has refunded the requested amount."""
    await shop.seller.payments.RefundPayment(REFUND(payment_id=payment.payment_id, **rest))  # type: ignore[arg-type]
    done = payments_pb2.REFUND_STATE_PENDING
    return await eventually(
        lambda: shop.payment(payment.payment_id), lambda seen: all(each.state != done for each in seen.refunds)
    )


async def test_a_payment_captures_the_money_and_sells_the_goods(shop: Shop) -> None:
    """It starts pending; once the provider has captured the money, the order is paid and the goods are sold."""
    await stocked(shop.seller, "TEA", 10)
    order = await placed(shop.seller, ("TEA", 2), ("TEA", 1))
    begun = await shop.pay(order)
    assert (begun.state, begun.amount, begun.provider) == (payments_pb2.PAYMENT_STATE_PENDING, order.total, "sandbox")
    payment = await shop.settled(begun, "CAPTURED")
    assert payment.captured_amount == payment.authorized_amount == order.total
    await becomes(shop, order, "PAID")
    assert await stock_of(shop.seller, "TEA") == (7, 0, 7)
    assert not (await found(shop.seller, order.order_id)).HasField("hold_end_time")
    theirs = (await shop.sandbox.control.get(f"/v1/payments/{payment.provider_payment_id}")).json()
    assert (theirs["reference"], theirs["captured"]) == (payment.payment_id, "7.650000000")
    await assert_whole(shop.server.database)


async def test_a_repeated_create_starts_one_payment(shop: Shop) -> None:
    """The answer is the first one, whatever the payment's state is now; the provider is called once."""
    await stocked(shop.seller, "TEA", 10)
    order = await placed(shop.seller, ("TEA", 1))
    request_id = str(uuid4())
    first = await shop.pay(order, request_id=request_id)
    await shop.settled(first, "CAPTURED")
    assert raw(await shop.pay(order, request_id=request_id)) == raw(first)
    assert len((await shop.sandbox.control.get("/v1/payments")).json()["payments"]) == 1


async def test_after_a_refused_payment_another_one_can_pay_the_order(shop: Shop) -> None:
    """The reason is stated; the reservation remains, and the next payment succeeds."""
    await stocked(shop.seller, "TEA", 10)
    order = await placed(shop.seller, ("TEA", 1))
    payment = await shop.settled(await shop.pay(order, "card_refused"), "FAILED")
    assert payment.failure
    assert await state_of(shop, order) == "PENDING"
    assert await stock_of(shop.seller, "TEA") == (10, 1, 9)
    await shop.settled(await shop.pay(order), "CAPTURED")
    await becomes(shop, order, "PAID")
    await assert_whole(shop.server.database)


async def test_a_second_payment_is_refused_while_the_first_is_under_way(shop: Shop) -> None:
    """So it is for an order that is no longer pending; the refusals say why."""
    await stocked(shop.seller, "TEA", 10)
    order = await placed(shop.seller, ("TEA", 1))
    first = await shop.pay(order, "card_later")
    under_way = await refusal(shop.seller.payments.CreatePayment(creating(order)))
    assert (under_way.code, under_way.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PAYMENT_EXISTS")
    assert under_way.metadata == {"payment_id": first.payment_id}
    await cancelled(shop.seller, order)
    over = await refusal(shop.seller.payments.CreatePayment(creating(order)))
    assert (over.reason, over.metadata) == ("ORDER_STATE_CONFLICT", {"state": "CANCELLED", "needed": "PENDING"})


async def test_a_payment_that_the_customer_confirms_is_reported_by_webhook(shop: Shop) -> None:
    """The provider is not polled: its webhook alone makes the order paid."""
    await stocked(shop.seller, "TEA", 10)
    order = await placed(shop.seller, ("TEA", 1))
    begun = await shop.pay(order, "card_later")
    known = await eventually(lambda: shop.payment(begun.payment_id), lambda seen: bool(seen.provider_payment_id))
    (await shop.sandbox.control.post(f"/v1/payments/{known.provider_payment_id}/confirm")).raise_for_status()
    await shop.settled(begun, "CAPTURED")
    await becomes(shop, order, "PAID")


async def test_confirming_applies_the_providers_state(shop: Shop) -> None:
    """With a provider whose webhooks do not arrive; confirming a known state changes nothing."""
    await shop.sandbox.behave(webhook_url="")
    await stocked(shop.seller, "TEA", 10)
    order = await placed(shop.seller, ("TEA", 1))
    begun = await shop.pay(order, "card_later")
    known = await eventually(lambda: shop.payment(begun.payment_id), lambda seen: bool(seen.provider_payment_id))
    (await shop.sandbox.control.post(f"/v1/payments/{known.provider_payment_id}/confirm")).raise_for_status()
    request = payment_service_pb2.ConfirmPaymentRequest(payment_id=begun.payment_id)
    confirmed = (await shop.seller.payments.ConfirmPayment(request)).payment
    assert confirmed.state == payments_pb2.PAYMENT_STATE_AUTHORIZED
    paid = await shop.settled(begun, "CAPTURED")
    assert (await shop.seller.payments.ConfirmPayment(request)).payment == paid


async def test_an_unreachable_provider_is_reported(shop: Shop) -> None:
    """ConfirmPayment says when to retry, and changes nothing."""
    _, payment = await sold(shop)
    await shop.sandbox.stop()
    request = payment_service_pb2.ConfirmPaymentRequest(payment_id=payment.payment_id)
    away = await refusal(shop.seller.payments.ConfirmPayment(request))
    assert (away.code, away.reason) == (grpc.StatusCode.UNAVAILABLE, "PAYMENT_PROVIDER_UNAVAILABLE")
    assert away.retry_after
    assert await shop.payment(payment.payment_id) == payment


async def test_an_order_of_nothing_is_paid_immediately(shop: Shop) -> None:
    """No provider is called for it."""
    await stocked(shop.seller, "GIFT", 10, price=pounds(0))
    order = await placed(shop.seller, ("GIFT", 4))
    payment = await shop.pay(order)
    assert (payment.state, payment.provider) == (payments_pb2.PAYMENT_STATE_CAPTURED, "none")
    assert await state_of(shop, order) == "PAID"
    assert await stock_of(shop.seller, "GIFT") == (6, 0, 6)
    assert (await shop.sandbox.control.get("/v1/payments")).json()["payments"] == []
    await assert_whole(shop.server.database)


async def test_a_partial_refund_returns_money_and_goods(shop: Shop) -> None:
    """As much as requested; the rest can still be refunded, and then the order is refunded."""
    order, payment = await sold(shop)
    item = payments_pb2.RestockLine(sku="TEA", quantity=1)
    part = await refunded(shop, payment, amount=pounds(2, 550_000_000), note="one broken", restock=[item])
    assert (part.state, part.refunded_amount) == (payments_pb2.PAYMENT_STATE_CAPTURED, pounds(2, 550_000_000))
    [refund] = part.refunds
    assert (refund.state, refund.note) == (payments_pb2.REFUND_STATE_SUCCEEDED, "one broken")
    assert [(line.sku, line.quantity) for line in refund.restock] == [("TEA", 1)]
    assert await stock_of(shop.seller, "TEA") == (8, 0, 8)
    assert await state_of(shop, order) == "PAID"
    whole = await refunded(shop, payment)
    assert (whole.state, whole.refunded_amount) == (payments_pb2.PAYMENT_STATE_REFUNDED, order.total)
    await becomes(shop, order, "REFUNDED")
    assert await stock_of(shop.seller, "TEA") == (8, 0, 8)
    await assert_whole(shop.server.database)


async def test_no_more_is_refunded_than_was_paid(shop: Shop) -> None:
    """Nor are more goods restocked than were sold; a refused refund leaves nothing behind."""
    order, payment = await sold(shop)
    item = payments_pb2.RestockLine(sku="TEA", quantity=2)
    await refunded(shop, payment, amount=pounds(5), restock=[item])
    for reason, rest in (
        ("REFUND_TOO_LARGE", {"amount": pounds(2, 650_000_001)}),
        ("RESTOCK_TOO_LARGE", {"amount": pounds(1), "restock": [item]}),
        ("RESTOCK_TOO_LARGE", {"restock": [payments_pb2.RestockLine(sku="MUG", quantity=1)]}),
        ("CURRENCY_MISMATCH", {"amount": type(order.total)(currency_code="EUR", units=1)}),
    ):
        request = REFUND(payment_id=payment.payment_id, **rest)
        assert (await refusal(shop.seller.payments.RefundPayment(request))).reason == reason
    await refunded(shop, payment, amount=pounds(2, 650_000_000))
    forbidden = await refusal(shop.seller.payments.RefundPayment(REFUND(payment_id=payment.payment_id)))
    assert (forbidden.reason, forbidden.metadata) == (
        "PAYMENT_STATE_CONFLICT",
        {"state": "REFUNDED", "needed": "CAPTURED"},
    )
    assert await stock_of(shop.seller, "TEA") == (9, 0, 9)
    await assert_whole(shop.server.database)


async def test_a_refund_that_the_provider_refuses_is_reported_and_may_be_requested_again(shop: Shop) -> None:
    """It does not count as refunded."""
    await stocked(shop.seller, "TEA", 10)
    order = await placed(shop.seller, ("TEA", 1))
    payment = await shop.settled(await shop.pay(order, "card_refund_refused"), "CAPTURED")
    for count in (1, 2):
        after = await refunded(shop, payment)
        assert [refund.state for refund in after.refunds] == [payments_pb2.REFUND_STATE_FAILED] * count
        assert (after.state, after.refunded_amount) == (payments_pb2.PAYMENT_STATE_CAPTURED, pounds(0))


async def test_cancelling_a_paid_order_refunds_the_money_and_returns_the_goods(shop: Shop) -> None:
    """No separate refund is needed."""
    order, payment = await sold(shop)
    assert (await cancelled(shop.seller, order)).state == orders_pb2.ORDER_STATE_CANCELLED
    back = await shop.settled(payment, "REFUNDED")
    assert [refund.reason for refund in back.refunds] == [payments_pb2.REFUND_REASON_ORDER_CANCELLED]
    assert await stock_of(shop.seller, "TEA") == (10, 0, 10)
    assert await state_of(shop, order) == "CANCELLED"
    await assert_whole(shop.server.database)


async def test_cancelling_releases_a_payment_under_way(shop: Shop) -> None:
    """A payment that the customer has not confirmed yet can no longer take money."""
    await stocked(shop.seller, "TEA", 10)
    order = await placed(shop.seller, ("TEA", 1))
    payment = await shop.pay(order, "card_later")
    await eventually(lambda: shop.payment(payment.payment_id), lambda seen: bool(seen.provider_payment_id))
    await cancelled(shop.seller, order)
    await shop.settled(payment, "VOIDED")
    await assert_whole(shop.server.database)


async def test_only_a_paid_order_is_fulfilled(shop: Shop) -> None:
    """Once; afterwards it cannot be cancelled, but still be refunded."""
    await stocked(shop.seller, "TEA", 10)
    order = await placed(shop.seller, ("TEA", 1))
    request = order_service_pb2.FulfillOrderRequest(order_id=order.order_id)
    early = await refusal(shop.seller.orders.FulfillOrder(request))
    assert (early.reason, early.metadata) == ("ORDER_STATE_CONFLICT", {"state": "PENDING", "needed": "PAID"})
    payment = await shop.settled(await shop.pay(order), "CAPTURED")
    assert (await shop.seller.orders.FulfillOrder(request)).order.state == orders_pb2.ORDER_STATE_FULFILLED
    assert (await refusal(shop.seller.orders.FulfillOrder(request))).metadata["state"] == "FULFILLED"
    assert (await refusal(cancelled(shop.seller, order))).metadata["state"] == "FULFILLED"
    await refunded(shop, payment)
    await becomes(shop, order, "REFUNDED")


@pytest.mark.parametrize("goods_left", [True, False])
async def test_a_payment_for_an_expired_order(shop: Shop, goods_left: bool) -> None:
    """It takes the goods again if they are available; otherwise the money is refunded, with the reason."""
    await stocked(shop.seller, "TEA", 3)
    order = await placed(shop.seller, ("TEA", 3), hold_duration={"seconds": 1})
    payment = await shop.pay(order, "card_later")
    known = await eventually(lambda: shop.payment(payment.payment_id), lambda seen: bool(seen.provider_payment_id))
    # The provider is cut off: the customer confirms, and we learn of the payment only after the order has expired.
    await shop.sandbox.behave(webhook_url="")
    (await shop.sandbox.control.post(f"/v1/payments/{known.provider_payment_id}/confirm")).raise_for_status()
    (await shop.sandbox.control.post(f"/v1/payments/{known.provider_payment_id}/capture", json={})).raise_for_status()
    await shop.sandbox.behave(fail=1.0)
    await becomes(shop, order, "EXPIRED")
    assert await stock_of(shop.seller, "TEA") == (3, 0, 3)
    if not goods_left:
        await placed(shop.seller, ("TEA", 1))
    await shop.sandbox.behave(fail=0.0, webhook_url=f"{shop.server.http}/webhooks/sandbox")
    if goods_left:
        await becomes(shop, order, "PAID")
        assert await stock_of(shop.seller, "TEA") == (0, 0, 0)
    else:
        back = await shop.settled(payment, "REFUNDED")
        assert [refund.reason for refund in back.refunds] == [payments_pb2.REFUND_REASON_ORDER_EXPIRED]
        assert await state_of(shop, order) == "EXPIRED"
        assert await stock_of(shop.seller, "TEA") == (3, 1, 2)
    await assert_whole(shop.server.database)


async def test_a_customer_pays_and_sees_its_own_orders_payments(shop: Shop) -> None:
    """Another's payment is refused like one that does not exist, and is in no list; only permitted staff refund."""
    await stocked(shop.seller, "TEA", 10)
    customer = await shop.server.sign_in("customer")
    mine, other = await placed(customer, ("TEA", 1)), await placed(shop.seller, ("TEA", 1))
    paid = (await customer.payments.CreatePayment(creating(mine))).payment
    others = await shop.pay(other)
    assert await ids(customer) == [paid.payment_id]
    assert await ids(customer, order_id=other.order_id) == []
    assert await ids(shop.seller) == [others.payment_id, paid.payment_id]
    for payment_id in (others.payment_id, str(uuid4())):
        hidden = await refusal(
            customer.payments.GetPayment(payment_service_pb2.GetPaymentRequest(payment_id=payment_id))
        )
        assert (hidden.code, hidden.reason) == (grpc.StatusCode.NOT_FOUND, "PAYMENT_NOT_FOUND")
    hidden = await refusal(customer.payments.CreatePayment(creating(other)))
    assert hidden.reason == "ORDER_NOT_FOUND"
    assert (
        await refusal(customer.payments.RefundPayment(REFUND(payment_id=paid.payment_id)))
    ).reason == "PERMISSION_MISSING"


def creating(order: orders_pb2.Order) -> payment_service_pb2.CreatePaymentRequest:
    return CREATE(payment=payments_pb2.Payment(order_id=order.order_id))


async def ids(api: Api, **rest: object) -> list[str]:
    """The payments that a caller lists, in order, over all pages."""
    found: list[str] = []
    token = ""
    while True:
        request = payment_service_pb2.ListPaymentsRequest(page_size=1, page_token=token, **rest)  # type: ignore[arg-type]
        page = await api.payments.ListPayments(request)
        found += [payment.payment_id for payment in page.payments]
        if not (token := page.next_page_token):
            return found


async def test_confirming_repeatedly_queries_the_provider_once_a_second(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider limits a shop's rate: one customer must not use that up; an ended payment is not queried."""
    asked: list[str] = []
    find = SandboxProvider.find

    async def counted(provider: SandboxProvider, provider_id: str) -> PaymentReport:
        asked.append(provider_id)
        return await find(provider, provider_id)

    monkeypatch.setattr(SandboxProvider, "find", counted)
    await stocked(shop.seller, "TEA", 10)
    begun = await shop.pay(await placed(shop.seller, ("TEA", 1)), "card_later")
    known = await eventually(lambda: shop.payment(begun.payment_id), lambda seen: bool(seen.provider_payment_id))
    request = payment_service_pb2.ConfirmPaymentRequest(payment_id=known.payment_id)
    loop = asyncio.get_running_loop()
    asked.clear()
    began = loop.time()
    answers = await asyncio.gather(*(shop.seller.payments.ConfirmPayment(request) for _ in range(50)))
    assert {raw(answer) for answer in answers} == {raw(answers[0])}
    assert 1 <= len(asked) <= 1 + (loop.time() - began)
    failed = await shop.settled(await shop.pay(await placed(shop.seller, ("TEA", 1)), "card_refused"), "FAILED")
    asked.clear()
    request = payment_service_pb2.ConfirmPaymentRequest(payment_id=failed.payment_id)
    assert (await shop.seller.payments.ConfirmPayment(request)).payment == failed
    assert asked == []
