"""Why an order is refused: each reason, and which takes precedence."""

from dataclasses import replace
from itertools import chain, combinations
from uuid import UUID, uuid4

from server.commerce.errors import (
    CurrencyMismatch,
    CustomerNotPermitted,
    OutOfStock,
    PriceNotPermitted,
    ProductArchived,
    ProductNotFound,
    ReferenceTaken,
)
from server.commerce.rules.orders import Line, PlaceOrder, decide
from server.frame.errors import Refusal
from storage.commerce.records import Order
from tests.commerce.values import CUSTOMER, NOW, SERVICE, STAFF, by_sku, place, price, stock_item

SHELVES = by_sku(
    [
        stock_item("FINE", 100),
        stock_item("SHORT", 1),
        stock_item("OLD", 100, archived=True),
        stock_item("EURO", 100, cost=price("3", "EUR")),
    ]
)
EARLIER = uuid4()
TAKEN = {(CUSTOMER.account_id, "TAKEN"): EARLIER}

IN_THE_CONTRACT_S_ORDER: dict[str, type[Refusal]] = {
    "price": PriceNotPermitted,
    "customer": CustomerNotPermitted,
    "reference": ReferenceTaken,
    "unknown": ProductNotFound,
    "archived": ProductArchived,
    "currency": CurrencyMismatch,
    "stock": OutOfStock,
}
SUBSETS = [*chain.from_iterable(combinations(IN_THE_CONTRACT_S_ORDER, n) for n in range(1, 8))]


def answer_to(ask: PlaceOrder, taken: dict[tuple[UUID, str], UUID] | None = None) -> Order | Refusal:
    [answer] = decide([ask], SHELVES, TAKEN if taken is None else taken, NOW).answers
    return answer


def refused(ask: PlaceOrder) -> Refusal:
    answer = answer_to(ask)
    assert isinstance(answer, Refusal)
    return answer


def faulty(faults: tuple[str, ...]) -> PlaceOrder:
    """A request with these faults; the line with the lowest precedence is first."""
    lines = {
        "stock": Line("SHORT", 2, None),
        "currency": Line("EURO", 1, None),
        "archived": Line("OLD", 1, None),
        "unknown": Line("NONE", 1, None),
        "price": Line("FINE", 1, price("1")),
    }
    return replace(
        place(("FINE", 1), caller=CUSTOMER),
        lines=(*(line for fault, line in lines.items() if fault in faults), Line("FINE", 1, None)),
        customer_id="another" if "customer" in faults else None,
        reference="TAKEN" if "reference" in faults else "FREE",
    )


def test_of_several_reasons_the_first_in_the_contracts_order_is_given() -> None:
    """Whatever the combination of faults and the order of lines, the answer is the same."""
    expected = {faults: IN_THE_CONTRACT_S_ORDER[faults[0]] for faults in SUBSETS}
    asks = {faults: faulty(faults) for faults in SUBSETS}
    assert {faults: type(refused(ask)) for faults, ask in asks.items()} == expected
    turned = {faults: replace(ask, lines=ask.lines[::-1]) for faults, ask in asks.items()}
    assert {faults: type(refused(ask)) for faults, ask in turned.items()} == expected


def test_a_request_without_faults_is_granted() -> None:
    """So the faults of the test above are the only ones."""
    assert isinstance(answer_to(faulty(())), Order)


def test_a_price_may_be_set_only_with_the_permission() -> None:
    """Even the catalog's own price, or zero, and on any line."""
    for amount in ("2.55", "0"):
        lines = (("FINE", 1, None), ("FINE", 1, price(amount)))
        assert isinstance(refused(place(*lines, caller=CUSTOMER)), PriceNotPermitted)
        assert isinstance(refused(place(*lines, caller=STAFF)), PriceNotPermitted)
        assert isinstance(answer_to(place(*lines, caller=SERVICE)), Order)


def test_a_price_of_zero_is_a_price() -> None:
    """A line that sets 0 is free, and not sold at the catalog's price."""
    order = answer_to(place(("FINE", 7, price("0")), caller=SERVICE))
    assert isinstance(order, Order)
    assert order.total == price("0")


def test_an_order_for_another_customer_needs_the_permission() -> None:
    """A caller's own id is itself, and any other text is another customer."""
    own = str(CUSTOMER.account_id)
    assert isinstance(answer_to(place(("FINE", 1), caller=CUSTOMER, customer_id=own)), Order)
    assert isinstance(refused(place(("FINE", 1), caller=CUSTOMER, customer_id="17850")), CustomerNotPermitted)
    order = answer_to(place(("FINE", 1), caller=STAFF, customer_id="17850"))
    assert isinstance(order, Order)
    assert (order.customer_id, order.placed_by) == ("17850", STAFF.account_id)


def test_a_reference_is_unique_among_one_callers_orders() -> None:
    """The refusal names the order that has it; another caller's equal reference does not conflict."""
    answer = refused(place(("FINE", 1), caller=CUSTOMER, reference="TAKEN"))
    assert isinstance(answer, ReferenceTaken)
    assert answer.metadata == {"order_id": str(EARLIER)}
    assert isinstance(answer_to(place(("FINE", 1), caller=STAFF, reference="TAKEN")), Order)


def test_a_reference_is_unique_within_a_batch_too() -> None:
    """The second request is refused with the first one's order; a refused request takes no reference."""
    refused_first = place(("SHORT", 2), reference="R")
    first, second = place(("FINE", 1), reference="R"), place(("FINE", 1), reference="R")
    answers = decide([refused_first, first, second], SHELVES, {}, NOW).answers
    assert isinstance(answers[1], Order)
    assert isinstance(answers[2], ReferenceTaken)
    assert answers[2].metadata == {"order_id": str(first.order_id)}


def test_orders_without_a_reference_do_not_conflict() -> None:
    """An empty reference is none."""
    answers = decide([place(("FINE", 1)), place(("FINE", 1))], SHELVES, {}, NOW).answers
    assert all(isinstance(answer, Order) for answer in answers)


def test_a_refused_order_names_the_product_at_fault() -> None:
    """The first line with a missing or an archived one."""
    assert refused(place(("FINE", 1), ("NONE", 1), ("LACK", 1))).metadata == {"sku": "NONE"}
    assert refused(place(("FINE", 1), ("OLD", 1))).metadata == {"sku": "OLD"}


def test_lines_in_several_currencies_are_refused_with_their_names() -> None:
    """The lines have no common total; a set price counts with its own currency."""
    assert refused(place(("FINE", 1), ("EURO", 1))).metadata == {"currencies": "EUR,GBP"}
    assert refused(place(("FINE", 1, price("1", "USD")), ("FINE", 1))).metadata == {"currencies": "GBP,USD"}
    order = answer_to(place(("EURO", 2), ("FINE", 1, price("1", "EUR"))))
    assert isinstance(order, Order)
    assert order.total == price("7", "EUR")
