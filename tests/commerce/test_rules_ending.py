"""How orders end before they are fulfilled, and which state may follow which."""

import re
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.commerce.errors import OrderStateConflict
from server.commerce.rules.ending import cancel, expire
from server.commerce.rules.life import NEXT, moved
from server.commerce.rules.orders import decide
from server.commerce.rules.payments import new_payment
from storage.commerce.records import Order, OrderState, PaymentState, RefundReason, StockReason
from storage.frame.records import NOBODY
from tests.commerce.values import CUSTOMER, LATER, LAW, NOW, STAFF, by_sku, order, place, product, stock_item

LIFE = Path(__file__).parents[2] / "docs" / "order-life.md"


def test_the_picture_in_the_docs_equals_the_codes_transitions() -> None:
    """Each arrow is an allowed transition, and each allowed transition is drawn."""
    drawn = set(re.findall(r"^\s+(\w+) --> (\w+) :", LIFE.read_text(), re.MULTILINE))
    assert drawn == {(state.name, after.name) for state, others in NEXT.items() for after in others}


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("after", OrderState)
def test_an_order_makes_only_allowed_transitions(state: OrderState, after: OrderState) -> None:
    """Only the state and the time change; the refusal names the state that forbids it."""
    before = order((product("A"), 2), state=state)
    if after in NEXT[state]:
        assert moved(before, after, LATER) == replace(before, state=after, update_time=LATER)
        return
    with pytest.raises(OrderStateConflict) as refused:
        moved(before, after, LATER)
    assert refused.value.metadata["state"] == state.name


@LAW
@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 9)), min_size=1, max_size=8),
    st.sampled_from([StockReason.RELEASED, StockReason.EXPIRED]),
)
def test_an_end_releases_exactly_what_placing_held(lines: list[tuple[str, int]], reason: StockReason) -> None:
    """After a reservation and its end every level is what it was before, whether it was cancelled or expired."""
    before = by_sku(stock_item(sku, 100, held=7) for sku in "ABC")
    verdicts = decide([place(*lines)], before, {}, NOW)
    [placed] = verdicts.answers
    assert isinstance(placed, Order)
    held = {move.product_id: move for move in verdicts.moves}
    now = [replace(s, held=held[s.product_id].held_after) for s in before.values() if s.product_id in held]
    if reason is StockReason.RELEASED:
        ended = cancel(placed, "why", [], {}, now, CUSTOMER, uuid4, LATER)
        assert ended.orders[placed.id].cancel_reason == "why"
    else:
        ended = expire({placed.id: placed}, [], now, LATER)
    who = CUSTOMER.account_id if reason is StockReason.RELEASED else NOBODY
    assert {move.product_id: move.held_delta for move in ended.moves} == {
        each: -m.held_delta for each, m in held.items()
    }
    assert all((move.on_hand_after, move.held_after) == (100, 7) for move in ended.moves)
    assert {(m.reason, m.on_hand_delta, m.order_id, m.account_id) for m in ended.moves} == {(reason, 0, placed.id, who)}


def test_cancelling_a_paid_order_returns_goods_and_money() -> None:
    """Less what was returned or refunded before."""
    tea = product("TEA")
    pending = order((tea, 5), (tea, 1))
    asked = new_payment(pending, [], uuid4(), CUSTOMER, "sandbox", "", NOW)
    taken = replace(asked, state=PaymentState.CAPTURED, authorized=asked.amount.amount, captured=asked.amount.amount)
    paid = replace(pending, state=OrderState.PAID)
    stock_items = [replace(stock_item("TEA", 0), product_id=tea.id)]
    ended = cancel(paid, "", [taken], {paid.id: {tea.id: 2}}, stock_items, STAFF, uuid4, LATER)
    assert [(m.reason, m.on_hand_delta, m.held_delta) for m in ended.moves] == [(StockReason.RETURNED, 4, 0)]
    [refund] = ended.new_refunds.values()
    assert (refund.amount, refund.reason) == (taken.captured, RefundReason.ORDER_CANCELLED)
    assert ended.unwanted == []


def test_a_payment_under_way_is_released_with_its_order() -> None:
    """A job does it, since the money may have been taken by now."""
    pending = order((product("TEA"), 1))
    asked = new_payment(pending, [], uuid4(), CUSTOMER, "sandbox", "", NOW)
    stock_items = [replace(stock_item("TEA", 1, held=1), product_id=pending.lines[0].product_id)]
    assert cancel(pending, "", [asked], {}, stock_items, STAFF, uuid4, LATER).unwanted == [asked.id]
    assert expire({pending.id: pending}, [asked], stock_items, LATER).unwanted == [asked.id]
