"""How payments and orders change when a provider reports, in any order."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import chain, permutations
from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.commerce.providers.port import PaymentReport, RefundReport
from server.commerce.rules.payments import new_payment
from server.commerce.rules.settling import ReportMismatch, ReportProcessor, Settlement, merged
from storage.commerce.records import (
    Order,
    OrderState,
    Payment,
    PaymentState,
    RefundReason,
    RefundState,
    StockReason,
)
from tests.commerce.values import CUSTOMER, LATER, LAW, NOW, order, product, stock_item

TEA = product("TEA")
ORDER = order((TEA, 2), (TEA, 3))
WHOLE = ORDER.total.amount
PAYMENT = new_payment(ORDER, [], uuid4(), CUSTOMER, "sandbox", "", NOW)

AUTHORIZED = PaymentReport(PAYMENT.id, "p1", "GBP", authorized=WHOLE)
CAPTURED = replace(AUTHORIZED, captured=WHOLE)
REFUNDED = replace(CAPTURED, refunded=WHOLE)
FAILED = PaymentReport(PAYMENT.id, "p1", "GBP", failure="card_declined")

sums = st.decimals(0, WHOLE, places=2)
reports = st.builds(
    PaymentReport,
    st.just(PAYMENT.id),
    st.just("p1"),
    st.just("GBP"),
    authorized=sums,
    captured=sums | st.just(WHOLE),
    refunded=sums,
    failure=st.sampled_from(["", "card_declined", "expired_card"]),
    voided=st.booleans(),
    client_secret=st.sampled_from(["", "pi_1_secret"]),
)


def processor_of(placed: Order, *payments: Payment, on_hand: int = 10, held: int = 5) -> ReportProcessor:
    stock_items = [replace(stock_item("TEA", on_hand, held=held), product_id=TEA.id)]
    return ReportProcessor({each.id: each for each in payments}, {placed.id: placed}, stock_items, uuid4, LATER)


def told(
    reported: Sequence[PaymentReport], placed: Order = ORDER, **stock: int
) -> tuple[Payment, OrderState, Settlement]:
    processor = processor_of(placed, PAYMENT, **stock)
    for report in reported:
        settled = processor.apply(PAYMENT.id, report)
    return settled.payment, settled.order_state, processor.settlement


def effects(settlement: Settlement) -> list[tuple[StockReason, int, int]]:
    return [(move.reason, move.on_hand_delta, move.held_delta) for move in settlement.moves]


@pytest.mark.parametrize("turn", list(permutations([AUTHORIZED, CAPTURED, REFUNDED, FAILED])))
def test_all_orders_of_the_four_reports_lead_to_one_state(turn: tuple[PaymentReport, ...]) -> None:
    """Each reported twice, immediately and again at the end: sold once, refunded once, and never backwards."""
    processor = processor_of(ORDER, PAYMENT)
    life = [OrderState.PENDING]
    for report in (*chain.from_iterable((each, each) for each in turn), *turn):
        settled = processor.apply(PAYMENT.id, report)
        if settled.order_state is not life[-1]:
            life.append(settled.order_state)
    assert settled.payment.state is PaymentState.REFUNDED
    # If the refund is reported first, that report also says that the order was paid.
    assert life in (
        [OrderState.PENDING, OrderState.PAID, OrderState.REFUNDED],
        [OrderState.PENDING, OrderState.REFUNDED],
    )
    assert effects(processor.settlement) == [(StockReason.SOLD, -5, -5)]
    events = [event.type for event in processor.settlement.events]
    assert [each for each in events if each.startswith("order.")] == ["order.paid", "order.refunded"]
    assert events.count("payment.captured") == events.count("payment.refunded") == 1


@LAW
@given(st.lists(reports, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_any_order_of_any_reports_leads_to_one_state(reported: list[PaymentReport], chance: Random) -> None:
    """Late, twice and out of order: the totals, the states, the stock and the refunds are the same."""
    payment, state, settlement = told(reported)
    shuffled = [*reported, *reported]
    chance.shuffle(shuffled)
    again, state_again, settlement_again = told(shuffled)
    assert replace(again, refunds=()) == replace(payment, refunds=())
    assert (state_again, effects(settlement_again)) == (state, effects(settlement))
    assert payment.refunded <= payment.captured <= payment.authorized


@LAW
@given(reports, reports)
def test_a_payment_only_moves_forward(first: PaymentReport, second: PaymentReport) -> None:
    """No total falls, no refusal is forgotten, and a repeated report changes nothing."""
    before = merged(PAYMENT, first)
    after = merged(before, second)
    for name in ("authorized", "captured", "refunded", "failure", "voided"):
        assert getattr(after, name) >= getattr(before, name)
    assert merged(after, first) == merged(after, second) == after
    if before.state in (PaymentState.CAPTURED, PaymentState.REFUNDED):
        assert after.state in (PaymentState.CAPTURED, PaymentState.REFUNDED)


def test_the_client_secret_is_deleted_once_the_customer_has_confirmed() -> None:
    """Whether that is reported before or after; until then it is kept."""
    waiting = PaymentReport(PAYMENT.id, "p1", "GBP", client_secret="pi_1_secret")
    assert merged(merged(PAYMENT, waiting), replace(waiting, client_secret="")).client_secret == "pi_1_secret"
    for turn in ((waiting, AUTHORIZED), (AUTHORIZED, waiting), (waiting, CAPTURED), (waiting, FAILED)):
        assert merged(merged(PAYMENT, turn[0]), turn[1]).client_secret == ""


def test_a_late_payment_takes_the_stock_again_if_available() -> None:
    """An expired order reserves nothing: its goods are reserved and sold in one step."""
    payment, state, settlement = told([CAPTURED], replace(ORDER, state=OrderState.EXPIRED), on_hand=5, held=0)
    assert (payment.state, state) == (PaymentState.CAPTURED, OrderState.PAID)
    assert effects(settlement) == [(StockReason.HELD, 0, 5), (StockReason.SOLD, -5, -5)]
    assert settlement.new_refunds == {}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (OrderState.EXPIRED, RefundReason.ORDER_EXPIRED),
        (OrderState.CANCELLED, RefundReason.ORDER_CANCELLED),
        (OrderState.PAID, RefundReason.PAID_TWICE),
        (OrderState.FULFILLED, RefundReason.PAID_TWICE),
        (OrderState.REFUNDED, RefundReason.PAID_TWICE),
    ],
)
def test_money_that_no_order_waits_for_is_refunded_once(state: OrderState, reason: RefundReason) -> None:
    """However often it is reported as taken; the order does not change."""
    payment, after, settlement = told([CAPTURED, CAPTURED, AUTHORIZED], replace(ORDER, state=state), on_hand=4, held=0)
    assert (after, effects(settlement)) == (state, [])
    [refund] = settlement.new_refunds.values()
    assert (refund.amount, refund.reason, refund.state) == (WHOLE, reason, RefundState.PENDING)
    assert payment.refunds == (refund,)


def test_an_order_paid_twice_stays_paid_after_one_refund() -> None:
    """As long as some of the money for it is kept."""
    other = replace(
        PAYMENT, id=uuid4(), provider_id="p0", state=PaymentState.CAPTURED, authorized=WHOLE, captured=WHOLE
    )
    processor = processor_of(replace(ORDER, state=OrderState.PAID), PAYMENT, other)
    assert processor.apply(PAYMENT.id, REFUNDED).order_state is OrderState.PAID
    back = PaymentReport(other.id, "p0", "GBP", captured=WHOLE, refunded=WHOLE)
    assert processor.apply(other.id, back).order_state is OrderState.REFUNDED


def test_a_refund_made_at_the_provider_is_recorded() -> None:
    """Once, under the provider's id, and the rest can still be refunded."""
    part = RefundReport(None, "r1", Decimal("1.00"), RefundState.SUCCEEDED)
    report = replace(CAPTURED, refunded=part.amount, refunds=(part,))
    payment, state, settlement = told([report, report])
    assert (payment.state, state, payment.refunded) == (PaymentState.CAPTURED, OrderState.PAID, part.amount)
    [refund] = settlement.new_refunds.values()
    assert (refund.reason, refund.provider_id, refund.state) == (RefundReason.PROVIDER, "r1", RefundState.SUCCEEDED)


def test_refunds_that_are_reported_one_by_one_add_up() -> None:
    """Some webhooks report one refund and no total: the order is refunded with the last of them."""
    parts = [
        RefundReport(None, f"r{n}", amount, RefundState.SUCCEEDED) for n, amount in enumerate((Decimal(2), WHOLE - 2))
    ]
    processor = processor_of(ORDER, PAYMENT)
    for report in (CAPTURED, *(replace(CAPTURED, refunds=(part,)) for part in (*parts, parts[0]))):
        settled = processor.apply(PAYMENT.id, report)
    assert (settled.payment.refunded, settled.payment.state) == (WHOLE, PaymentState.REFUNDED)
    assert settled.order_state is OrderState.REFUNDED


@pytest.mark.parametrize("provider_id", ["", "p1"])
def test_a_payment_without_a_providers_id_stays_without_one(provider_id: str) -> None:
    """Otherwise two of them could be confused."""
    assert merged(PAYMENT, replace(FAILED, provider_id=provider_id)).provider_id == (provider_id or None)


@pytest.mark.parametrize("turn", list(permutations([RefundState.PENDING, RefundState.FAILED, RefundState.SUCCEEDED])))
def test_a_refund_never_moves_backwards(turn: tuple[RefundState, ...]) -> None:
    """A refund that succeeded stays so, whatever is reported later."""
    refund_id: UUID | None = None
    processor = processor_of(replace(ORDER, state=OrderState.CANCELLED), PAYMENT)
    settled = processor.apply(PAYMENT.id, CAPTURED)
    [refund_id] = [refund.id for refund in settled.payment.refunds]
    for state in turn:
        settled = processor.apply(PAYMENT.id, replace(CAPTURED, refunds=(RefundReport(refund_id, "r1", WHOLE, state),)))
    assert [(each.id, each.state) for each in settled.payment.refunds] == [(refund_id, RefundState.SUCCEEDED)]


def test_a_report_in_another_currency_is_not_applied() -> None:
    """It is a defect on one side, and settles nothing."""
    processor = processor_of(ORDER, PAYMENT)
    with pytest.raises(ReportMismatch):
        processor.apply(PAYMENT.id, replace(CAPTURED, currency="EUR"))
    assert processor.settlement == Settlement()
