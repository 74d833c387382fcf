"""Deciding orders, compared with a simple model."""

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from server.commerce.errors import OutOfStock
from server.commerce.rules.orders import PlaceOrder, Verdicts, decide, references_of, skus_of
from server.frame.errors import Refusal
from storage.commerce.records import Order, OrderState, Price, StockItem, StockReason
from tests.commerce.values import CUSTOMER, LAW, NOW, SERVICE, by_sku, place, price, stock_item

PRICES = st.none() | st.sampled_from([price("0"), price("0.001"), price("1.5"), price("999999999.999999999")])
LINES = st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 9), PRICES), min_size=1, max_size=4)
ASKS = st.lists(LINES.map(lambda lines: place(*lines)), max_size=12)
LEVELS = st.tuples(st.integers(0, 25), st.integers(0, 5)).map(lambda level: (level[0] + level[1], level[1]))
SHELVES = st.fixed_dictionaries(dict.fromkeys("ABC", LEVELS)).map(
    lambda levels: by_sku(stock_item(sku, on_hand, held=held) for sku, (on_hand, held) in levels.items())
)


def wanted_by(ask: PlaceOrder) -> Counter[str]:
    wanted: Counter[str] = Counter()
    for line in ask.lines:
        wanted[line.sku] += line.quantity
    return wanted


def naively_granted(asks: Sequence[PlaceOrder], stock_items: Mapping[str, StockItem]) -> list[bool]:
    """First come, first served, completely or not at all."""
    left = {sku: stock_item.on_hand - stock_item.held for sku, stock_item in stock_items.items()}
    granted = []
    for ask in asks:
        fits = all(quantity <= left[sku] for sku, quantity in wanted_by(ask).items())
        for sku, quantity in wanted_by(ask).items() if fits else ():
            left[sku] -= quantity
        granted.append(fits)
    return granted


def decided(asks: Sequence[PlaceOrder], stock_items: Mapping[str, StockItem]) -> Verdicts:
    return decide(asks, stock_items, {}, NOW)


@LAW
@given(ASKS, SHELVES)
def test_the_first_order_that_fits_gets_the_stock(asks: list[PlaceOrder], stock_items: Mapping[str, StockItem]) -> None:
    """Exactly the requests that the simple model grants are granted, and all others are refused as out of stock."""
    answers = decided(asks, stock_items).answers
    assert [isinstance(answer, Order) for answer in answers] == naively_granted(asks, stock_items)
    assert all(isinstance(answer, Order | OutOfStock) for answer in answers)


@LAW
@given(ASKS, SHELVES)
def test_each_order_reserves_exactly_the_sum_of_its_lines(
    asks: list[PlaceOrder], stock_items: Mapping[str, StockItem]
) -> None:
    """A granted request has one movement per product, a refused one none, and only `held` changes."""
    verdicts = decided(asks, stock_items)
    ids = {stock_item.product_id: sku for sku, stock_item in stock_items.items()}
    moved = Counter({(move.order_id, ids[move.product_id]): move.held_delta for move in verdicts.moves})
    granted = [ask for ask, answer in zip(asks, verdicts.answers, strict=True) if isinstance(answer, Order)]
    assert moved == {(ask.order_id, sku): pieces for ask in granted for sku, pieces in wanted_by(ask).items()}
    assert len(verdicts.moves) == len(moved)
    assert {(move.reason, move.on_hand_delta, move.account_id) for move in verdicts.moves} <= {
        (StockReason.HELD, 0, SERVICE.account_id)
    }


@LAW
@given(ASKS, SHELVES)
def test_the_movements_add_up_to_levels_that_never_oversell(
    asks: list[PlaceOrder], stock_items: Mapping[str, StockItem]
) -> None:
    """Each movement starts at the previous one's level, and none reserves more than is on hand."""
    levels = {stock_item.product_id: (stock_item.on_hand, stock_item.held) for stock_item in stock_items.values()}
    for move in decided(asks, stock_items).moves:
        on_hand, held = levels[move.product_id]
        levels[move.product_id] = (on_hand + move.on_hand_delta, held + move.held_delta)
        assert levels[move.product_id] == (move.on_hand_after, move.held_after)
        assert 0 <= move.held_after <= move.on_hand_after


@LAW
@given(ASKS, SHELVES)
def test_an_order_has_the_requested_lines_at_exact_prices(
    asks: list[PlaceOrder], stock_items: Mapping[str, StockItem]
) -> None:
    """Lines keep their order, quantity and price, which is the catalog's unless set."""
    for ask, answer in zip(asks, decided(asks, stock_items).answers, strict=True):
        if isinstance(answer, Order):
            prices = [line.unit_price or stock_items[line.sku].price for line in ask.lines]
            kept = [(line.product_id, line.sku, line.quantity, line.unit_price) for line in answer.lines]
            asked = zip(ask.lines, prices, strict=True)
            assert kept == [(stock_items[line.sku].product_id, line.sku, line.quantity, p.amount) for line, p in asked]
            exact = sum(line.quantity * Fraction(line.unit_price) for line in answer.lines)
            assert (Fraction(answer.total.amount), answer.total.currency) == (exact, "GBP")
            assert answer.line_count == len(ask.lines)
            assert answer.unit_count == sum(line.quantity for line in ask.lines)


def test_orders_are_stored_as_they_were_answered() -> None:
    """In the order in which they were requested."""
    asks = [place(("A", 2)), place(("A", 2)), place(("A", 1))]
    verdicts = decided(asks, by_sku([stock_item("A", 3)]))
    assert list(verdicts.placed) == [verdicts.answers[0], verdicts.answers[2]]
    assert [order.id for order in verdicts.placed] == [asks[0].order_id, asks[2].order_id]


def test_lines_of_one_product_at_different_prices_are_added_up() -> None:
    """Two lines that each fit alone but not together are refused (medusa#16502)."""
    lines = [("A", 3, price("1")), ("A", 3, price("2"))]
    [refused] = decided([place(*lines)], by_sku([stock_item("A", 5)])).answers
    assert isinstance(refused, OutOfStock)
    assert [(each.kind, each.subject, each.description) for each in refused.preconditions] == [
        ("STOCK", "A", "6 wanted, 5 available")
    ]
    [granted] = decided([place(*lines)], by_sku([stock_item("A", 6)])).answers
    assert isinstance(granted, Order)
    assert granted.total == price("9")


def test_every_product_that_is_short_is_named() -> None:
    """A buyer learns of all shortages at once, and of no product that there is enough of."""
    stock_items = by_sku([stock_item("A", 1), stock_item("B", 9), stock_item("C", 4, held=4)])
    [refused] = decided([place(("C", 1), ("B", 9), ("A", 2))], stock_items).answers
    assert isinstance(refused, OutOfStock)
    assert {each.subject: each.description for each in refused.preconditions} == {
        "C": "1 wanted, 0 available",
        "A": "2 wanted, 1 available",
    }


def test_reserved_stock_is_not_sold_again() -> None:
    """Goods reserved for other orders are on hand and not available."""
    stock_items = by_sku([stock_item("A", 10, held=8)])
    refused, granted = decided([place(("A", 3)), place(("A", 2))], stock_items).answers
    assert isinstance(refused, OutOfStock)
    assert isinstance(granted, Order)


def test_a_new_order_is_pending_and_belongs_to_the_caller() -> None:
    """Unless it has a customer_id; its time is now."""
    ask = place(("A", 1), caller=CUSTOMER, reference="R-1")
    [order] = decided([ask], by_sku([stock_item("A", 1)])).answers
    assert isinstance(order, Order)
    assert (order.id, order.state, order.reference) == (ask.order_id, OrderState.PENDING, "R-1")
    assert (order.customer_id, order.placed_by) == (str(CUSTOMER.account_id), CUSTOMER.account_id)
    assert (order.create_time, order.update_time, order.cancel_reason) == (NOW, NOW, "")


def test_thousandths_add_up_exactly() -> None:
    """2,000 lines at 0.001 GBP, where binary floating point would drift."""
    lines = [("A", 3, price("0.001"))] * 2000
    [order] = decided([place(*lines)], by_sku([stock_item("A", 6000)])).answers
    assert isinstance(order, Order)
    assert order.total == price("6.000")


def test_the_largest_possible_order_adds_up_exactly() -> None:
    """2,000 lines of 1,000,000 pieces, at the highest price and at the highest with nine decimals."""
    stock_items = by_sku([stock_item("A", 2 * 10**9)])
    highest: list[tuple[Price, str]] = [
        (price("1000000000"), "2000000000000000000"),
        (price("999999999.999999999"), "1999999999999999998"),
        (price("999999999.123456789"), "1999999998246913578"),
    ]
    for each, total in highest:
        [order] = decided([place(*[("A", 10**6, each)] * 2000)], stock_items).answers
        assert isinstance(order, Order)
        assert order.total == price(total)
        assert order.unit_count == 2 * 10**9


def test_a_batch_loads_what_all_its_requests_need() -> None:
    """Every SKU of every line is locked, and only references that were sent are looked up."""
    asks = [place(("A", 1), ("B", 1), reference="R"), place(("B", 1), ("C", 1)), place(("C", 1), caller=CUSTOMER)]
    assert skus_of(asks) == {"A", "B", "C"}
    assert references_of(asks) == {(SERVICE.account_id, "R")}


def test_an_empty_batch_decides_nothing() -> None:
    """And moves nothing."""
    verdicts = decided([], by_sku([stock_item("A", 1)]))
    assert (list(verdicts.answers), list(verdicts.placed), list(verdicts.moves)) == ([], [], [])


def test_a_refused_request_leaves_the_stock_to_the_next() -> None:
    """An order that is short of one product takes nothing of the others."""
    asks = [place(("A", 5), ("B", 1)), place(("A", 5))]
    first, second = decided(asks, by_sku([stock_item("A", 5), stock_item("B", 0)])).answers
    assert isinstance(first, Refusal)
    assert isinstance(second, Order)
