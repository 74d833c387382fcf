"""An order after it was placed: who sees it, what it becomes, and what it lets go of."""

from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.commerce.errors import CustomerNotPermitted, OrderNotFound, OrderStateForbids
from server.commerce.rules.orders import as_placed, cancelled, customer_to_list, decide, release, visible
from storage.commerce.records import Order, OrderState, StockReason
from tests.commerce.values import CUSTOMER, LATER, LAW, NOW, SERVICE, STAFF, by_sku, order, place, product, shelf

OTHERS = order((product("A"), 2), customer_id="17850", placed_by=SERVICE.account_id)


def test_an_order_is_seen_by_its_customer_by_who_placed_it_and_by_staff() -> None:
    """Either relation is enough, and so is the permission."""
    mine = replace(OTHERS, customer_id=str(CUSTOMER.account_id))
    placed_by_me = replace(OTHERS, placed_by=CUSTOMER.account_id)
    assert visible(mine, CUSTOMER, mine.id) is mine
    assert visible(placed_by_me, CUSTOMER, placed_by_me.id) is placed_by_me
    assert visible(OTHERS, STAFF, OTHERS.id) is OTHERS


def test_another_s_order_is_refused_just_as_none() -> None:
    """Nothing in the refusal tells whether the order exists."""
    with pytest.raises(OrderNotFound) as hidden:
        visible(OTHERS, CUSTOMER, OTHERS.id)
    with pytest.raises(OrderNotFound) as absent:
        visible(None, CUSTOMER, OTHERS.id)
    assert vars(hidden.value) == vars(absent.value)
    assert hidden.value.metadata == {"order_id": str(OTHERS.id)}


def test_a_customer_lists_its_own_orders_and_staff_whose_it_wants() -> None:
    """Without a filter a customer's list is its own, and staff's is everybody's."""
    own = str(CUSTOMER.account_id)
    assert customer_to_list(None, CUSTOMER) == own
    assert customer_to_list(own, CUSTOMER) == own
    assert customer_to_list(None, STAFF) is None
    assert customer_to_list("17850", STAFF) == "17850"
    with pytest.raises(CustomerNotPermitted):
        customer_to_list("17850", CUSTOMER)


def test_a_pending_order_is_cancelled_with_its_reason() -> None:
    """Nothing changes but the state, the reason and the time of the change."""
    pending = order((product("A"), 2))
    done = cancelled(pending, "too late", LATER)
    assert done == replace(pending, state=OrderState.CANCELLED, cancel_reason="too late", update_time=LATER)


@pytest.mark.parametrize("state", [state for state in OrderState if state is not OrderState.PENDING])
def test_no_other_order_is_cancelled(state: OrderState) -> None:
    """The refusal names the state that forbids it."""
    with pytest.raises(OrderStateForbids) as refused:
        cancelled(replace(OTHERS, state=state), "", LATER)
    assert refused.value.metadata == {"state": state.name}


@pytest.mark.parametrize("state", OrderState)
def test_an_order_as_placed_forgets_what_became_of_it(state: OrderState) -> None:
    """Whatever came since, the repeated answer is the first one."""
    first = order((product("A"), 2))
    assert as_placed(replace(first, state=state, cancel_reason="why", update_time=LATER)) == first


@LAW
@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 9)), min_size=1, max_size=8))
def test_cancelling_releases_exactly_what_placing_held(lines: list[tuple[str, int]]) -> None:
    """After a hold and its release every level is what it was before."""
    before = by_sku(shelf(sku, 100, held=7) for sku in "ABC")
    verdicts = decide([place(*lines)], before, {}, NOW)
    [placed] = verdicts.answers
    assert isinstance(placed, Order)
    held = {move.product_id: move for move in verdicts.moves}
    now = {
        s.product_id: replace(s, held=held[s.product_id].held_after) for s in before.values() if s.product_id in held
    }
    moves = release(placed, now, CUSTOMER, LATER)
    assert {move.product_id: move.held_delta for move in moves} == {each: -m.held_delta for each, m in held.items()}
    assert all((move.on_hand_after, move.held_after) == (100, 7) for move in moves)
    expected = (StockReason.RELEASED, 0, placed.id, CUSTOMER.account_id, LATER)
    assert {(m.reason, m.on_hand_delta, m.order_id, m.account_id, m.create_time) for m in moves} == {expected}
    assert len(moves) == len(held)


def test_a_release_leaves_what_other_orders_hold() -> None:
    """Only the order's own pieces are let go, also of a product that is archived by now."""
    kept = product("A")
    shelves = {kept.id: replace(shelf("A", 10, held=9, archived=True), product_id=kept.id)}
    [move] = release(order((kept, 2), (kept, 3), id=uuid4()), shelves, STAFF, LATER)
    assert (move.held_delta, move.held_after, move.on_hand_after) == (-5, 4, 10)
