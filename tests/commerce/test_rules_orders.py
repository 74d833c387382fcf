"""An order after it was placed: who can see it, and how it is answered again."""

from dataclasses import replace

import pytest

from server.commerce.errors import CustomerNotPermitted, OrderNotFound
from server.commerce.rules.orders import as_placed, audience_of, customer_to_list, visible
from storage.commerce.records import OrderAudience, OrderState
from tests.commerce.values import CUSTOMER, LATER, SERVICE, STAFF, order, product

OTHERS = order((product("A"), 2), customer_id="17850", placed_by=SERVICE.account_id)


def test_an_order_is_visible_to_its_customer_its_placer_and_staff() -> None:
    """A customer needs no permission for its own; who placed it for another must still have the permission."""
    mine = replace(OTHERS, customer_id=str(CUSTOMER.account_id))
    placed_by_me = replace(OTHERS, placed_by=CUSTOMER.account_id)
    assert visible(mine, CUSTOMER, mine.id) is mine
    with pytest.raises(OrderNotFound):
        visible(placed_by_me, CUSTOMER, placed_by_me.id)
    placing = replace(CUSTOMER, permissions=CUSTOMER.permissions | {"orders.place_for"})
    assert visible(placed_by_me, placing, placed_by_me.id) is placed_by_me
    assert audience_of(None, placing) == OrderAudience(account_id=placing.account_id)
    assert audience_of(None, CUSTOMER) == OrderAudience(customer_id=str(CUSTOMER.account_id))
    assert visible(OTHERS, STAFF, OTHERS.id) is OTHERS


def test_anothers_order_is_refused_like_a_missing_one() -> None:
    """Nothing in the refusal shows whether the order exists."""
    with pytest.raises(OrderNotFound) as hidden:
        visible(OTHERS, CUSTOMER, OTHERS.id)
    with pytest.raises(OrderNotFound) as absent:
        visible(None, CUSTOMER, OTHERS.id)
    assert vars(hidden.value) == vars(absent.value)
    assert hidden.value.metadata == {"order_id": str(OTHERS.id)}


def test_a_customer_lists_its_own_orders_and_staff_everyones() -> None:
    """Without a filter a customer's list is its own, and staff's has all orders."""
    own = str(CUSTOMER.account_id)
    assert customer_to_list(None, CUSTOMER) == own
    assert customer_to_list(own, CUSTOMER) == own
    assert customer_to_list(None, STAFF) is None
    assert customer_to_list("17850", STAFF) == "17850"
    with pytest.raises(CustomerNotPermitted):
        customer_to_list("17850", CUSTOMER)


@pytest.mark.parametrize("state", OrderState)
def test_an_order_as_placed_ignores_later_changes(state: OrderState) -> None:
    """A repeated request gets the first answer."""
    first = order((product("A"), 2))
    assert as_placed(replace(first, state=state, cancel_reason="why", update_time=LATER)) == first
