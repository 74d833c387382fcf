"""The limits of what a customer may reserve without paying."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from server.commerce.errors import HoldTooLong, TooManyAbandonedOrders, TotalNotPayable, UnpaidLimitExceeded
from server.commerce.providers.minor_units import minor_units
from server.commerce.rules.orders import NO_UNPAID, PlaceOrder, Terms, bounded_customers, decide
from server.frame.errors import Refusal
from storage.commerce.records import Order, Unpaid
from tests.commerce.values import CUSTOMER, NOW, SERVICE, STAFF, by_sku, place, price, stock_item

TERMS = Terms(hold=timedelta(minutes=15), max_unpaid_orders=3, max_held_pieces=10)
ME = str(CUSTOMER.account_id)


def answers(
    *asks: PlaceOrder, unpaid: Mapping[str, Unpaid] = NO_UNPAID, terms: Terms = TERMS, cost: str = "2.55"
) -> Sequence[Order | Refusal]:
    currency = "JPY" if cost == "500.5" else "GBP"
    return decide(asks, by_sku([stock_item("TEA", 1000, cost=price(cost, currency))]), {}, NOW, terms, unpaid).answers


def mine(pieces: int, **rest: Any) -> PlaceOrder:
    return place(("TEA", pieces), caller=CUSTOMER, **rest)


def test_a_longer_reservation_than_the_servers_needs_the_permission() -> None:
    """An equal or shorter one does not; the refusal states the maximum."""
    longer = TERMS.hold + timedelta(seconds=1)
    refused, *fine = answers(mine(1, hold=longer), mine(1, hold=TERMS.hold), mine(1, hold=timedelta(seconds=1)))
    assert isinstance(refused, HoldTooLong)
    assert refused.metadata == {"permission": "orders.hold_more", "longest_seconds": "900"}
    assert all(isinstance(answer, Order) for answer in fine)
    [order] = answers(place(("TEA", 1), caller=STAFF, hold=timedelta(days=30)))
    assert isinstance(order, Order)
    assert order.hold_end_time == NOW + timedelta(days=30)


def test_unpaid_orders_are_counted_within_a_batch_and_with_earlier_ones() -> None:
    """One above the limit is refused, with the numbers; a refused one does not count."""
    batch = (mine(1), mine(1), mine(1), mine(1))
    assert [type(answer) for answer in answers(*batch)] == [Order, Order, Order, UnpaidLimitExceeded]
    before = {ME: Unpaid(2, 4)}
    first, second = answers(mine(1), mine(1), unpaid=before)
    assert isinstance(first, Order)
    assert isinstance(second, UnpaidLimitExceeded)
    assert second.metadata == {"orders": "4", "pieces": "6", "most_orders": "3", "most_pieces": "10"}
    assert str(second) == "This would make 4 unpaid orders of 6 pieces; the limits are 3 and 10."


def test_reserved_pieces_are_counted_over_all_lines_and_orders() -> None:
    """The limit itself is allowed; one order alone can exceed it."""
    whole = place(("TEA", 6), ("TEA", 4), caller=CUSTOMER)
    assert [type(answer) for answer in answers(whole, mine(1))] == [Order, UnpaidLimitExceeded]
    assert [type(answer) for answer in answers(mine(11), mine(10))] == [UnpaidLimitExceeded, Order]
    assert [type(answer) for answer in answers(mine(7), unpaid={ME: Unpaid(1, 4)})] == [UnpaidLimitExceeded]


def test_an_account_that_may_hold_more_is_not_bounded() -> None:
    """Its orders need not be counted, and never count for another customer."""
    many = [place(("TEA", 20), caller=SERVICE) for _ in range(9)]
    assert all(isinstance(answer, Order) for answer in answers(*many, unpaid={str(SERVICE.account_id): Unpaid(99, 99)}))
    assert bounded_customers([*many, mine(1), mine(2)]) == {ME}
    assert isinstance(answers(mine(1), unpaid={"another": Unpaid(99, 99)})[0], Order)


def test_the_number_of_recently_abandoned_orders_is_bounded() -> None:
    """At ten times the limit of unpaid ones; not for an account that may hold more."""
    most = Unpaid(0, 0, given_up=30)
    [refused] = answers(mine(1), unpaid={ME: most})
    assert isinstance(refused, TooManyAbandonedOrders)
    assert refused.metadata == {"orders": "30", "most_orders": "30"}
    assert isinstance(answers(mine(1), unpaid={ME: Unpaid(2, 9, given_up=29)})[0], Order)
    processor = place(("TEA", 1), caller=STAFF, customer_id=ME)
    assert isinstance(answers(processor, unpaid={ME: most})[0], Order)


@pytest.mark.parametrize(("cost", "pieces", "taken"), [("500.5", 1, False), ("500.5", 2, True), ("0.001", 10, True)])
def test_only_the_total_has_to_be_payable(cost: str, pieces: int, taken: bool) -> None:
    """A price may be finer than its currency: 10 pieces at 0.001 GBP are a penny, 500.5 JPY cannot be paid."""
    payable = Terms(payable=lambda total: minor_units(total) is not None)
    [answer] = answers(mine(pieces), terms=payable, cost=cost)
    assert isinstance(answer, Order) is taken
    if not taken:
        assert isinstance(answer, TotalNotPayable)
        assert answer.metadata == {"total": f"{Decimal(cost)}", "currency": "JPY"}
        said = "The order's total of 500.5 JPY has more decimal places than the payment provider accepts."
        assert str(answer) == said
