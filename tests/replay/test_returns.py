"""Which sold goods were returned, from the file alone."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.dataset import Line, Order, Return, first_day
from replay.returns import Amounts, GoodsBack, MatchedReturn, Matching, Reason, Unmatched, match

MORNING = datetime(2010, 12, 1, 8, 0)
CHEAP, DEAR = Decimal("0.5"), Decimal("1.25")


def order(invoice: str, hour: int, *lines: Line, customer: str = "A") -> Order:
    return Order(invoice, MORNING + timedelta(hours=hour), customer, "EIRE", lines)


def tea(quantity: int, price: Decimal = CHEAP) -> Line:
    return Line("TEA", "TEA SET", quantity, price)


BACK = Return("C9", MORNING + timedelta(hours=9), "A", "TEA", 4, CHEAP)


def parts(matching: Matching) -> list[tuple[str, int]]:
    """From which orders how many pieces were taken, in that order."""
    return [(taken.order, taken.quantity) for taken in matching.matched_returns]


def test_the_latest_order_before_a_return_is_taken_from_first() -> None:
    """Then the one before it, until there is enough; of two orders of one minute, the later in the file is later."""
    orders = [order("3", 3, tea(1)), order("2", 3, tea(2)), order("1", 1, tea(9)), order("4", 9, tea(9))]
    assert parts(match(orders, [BACK])) == [("2", 2), ("3", 1), ("1", 1)]


def test_a_piece_is_returned_once() -> None:
    """A later return does not find pieces that an earlier one took, wherever that is in the file."""
    later = replace(BACK, invoice="C10", time=BACK.time + timedelta(hours=1), quantity=3)
    matching = match([order("1", 1, tea(3), tea(2))], [later, BACK])
    assert matching.matched_returns == [
        MatchedReturn(BACK, "1", 2),
        MatchedReturn(BACK, "1", 2),
        MatchedReturn(later, "1", 1),
    ]
    assert matching.unmatched == [Unmatched(later, 2, Reason.MORE_THAN_SOLD)]
    assert (matching.all, matching.matched) == (Amounts(2, 2, 7), Amounts(1, 1, 5))
    assert matching.lines_and_units(Reason.MORE_THAN_SOLD) == (1, 2)


@pytest.mark.parametrize(
    ("sold", "back", "reason"),
    [
        (order("1", 1, tea(9), customer=""), replace(BACK, customer_id=""), Reason.NO_CUSTOMER),
        (order("1", 1, tea(9), customer="B"), BACK, Reason.NEVER_SOLD),
        (order("1", 1, tea(9, DEAR)), BACK, Reason.NEVER_SOLD),
        (order("1", 1, Line("tea", "", 9, CHEAP)), BACK, Reason.NEVER_SOLD),
        (order("1", 9, tea(9)), BACK, Reason.NEVER_SOLD),
        (order("1", 1, tea(1)), replace(BACK, quantity=2), Reason.MORE_THAN_SOLD),
    ],
)
def test_unmatched_pieces_have_a_reason(sold: Order, back: Return, reason: Reason) -> None:
    """No customer, another customer, another price, another product, not sold yet, and more than were sold."""
    (left,) = match([sold], [back]).unmatched
    assert left.reason is reason


def test_what_one_return_brings_back_of_one_order_is_combined() -> None:
    """Each price is added to the sum, and equal products into one number of pieces."""
    rows = [replace(BACK, quantity=1), BACK, replace(BACK, unit_price=DEAR, quantity=2), replace(BACK, sku="MUG")]
    other = replace(BACK, invoice="C10", quantity=1)
    sold = order("1", 1, tea(9), tea(9, DEAR), Line("MUG", "", 4, CHEAP))
    assert list(match([sold], [*rows, other]).goods_back()) == [
        GoodsBack("C9", "1", Decimal("7.0"), {"MUG": 4, "TEA": 7}),
        GoodsBack("C10", "1", Decimal("0.5"), {"TEA": 1}),
    ]


def test_one_return_of_the_included_day_matches() -> None:
    """The others are of goods that were sold before that day."""
    day = first_day()
    matching = match(day.orders, day.returns)
    assert (matching.all, matching.matched) == (Amounts(6, 26, 183), Amounts(1, 1, 6))
    assert matching.lines_and_units(Reason.NEVER_SOLD) == (25, 177)
    assert list(matching.goods_back()) == [GoodsBack("C536506", "536488", Decimal("25.50"), {"22960": 6})]


Day = tuple[Sequence[Order], Sequence[Return]]

HOURS = st.integers(0, 9)
CUSTOMERS = st.sampled_from(["", "A", "B"])
SKUS = st.sampled_from(["TEA", "MUG"])
PRICES = st.sampled_from([Decimal(0), CHEAP, DEAR])
LINES = st.builds(Line, SKUS, st.just(""), st.integers(1, 5), PRICES)


@st.composite
def days(draw: st.DrawFn) -> Day:
    """What a small shop sold, and its returns, in any order."""
    orders = [
        order(str(number), draw(HOURS), *draw(st.lists(LINES, min_size=1, max_size=4)), customer=draw(CUSTOMERS))
        for number in range(draw(st.integers(0, 6)))
    ]
    returns = []
    for number in range(draw(st.integers(0, 5))):
        time, customer = MORNING + timedelta(hours=draw(HOURS)), draw(CUSTOMERS)
        for _ in range(draw(st.integers(1, 3))):
            goods = (draw(SKUS), draw(st.integers(1, 12)), draw(PRICES))
            returns.append(Return(f"C{number}", time, customer, *goods))
    return orders, returns


def sold_pieces(orders: Sequence[Order]) -> Counter[tuple[str, str, Decimal]]:
    """By order, SKU and price."""
    sold = Counter[tuple[str, str, Decimal]]()
    for each in orders:
        for line in each.lines:
            sold[each.invoice, line.sku, line.unit_price] += line.quantity
    return sold


def pieces(parts_of_rows: Iterable[tuple[Return, int]]) -> Counter[Return]:
    """Equal rows combined."""
    counted = Counter[Return]()
    for row, quantity in parts_of_rows:
        counted[row] += quantity
    return counted


@given(days())
def test_every_piece_is_matched_or_not_and_no_line_gives_more_than_it_has(day: Day) -> None:
    """The customer of a match bought exactly that before."""
    orders, returns = day
    matching = match(orders, returns)
    left = sold_pieces(orders)
    by_invoice = {each.invoice: each for each in orders}
    for taken in matching.matched_returns:
        left[taken.order, taken.row.sku, taken.row.unit_price] -= taken.quantity
        assert by_invoice[taken.order].customer_id == taken.row.customer_id != ""
        assert by_invoice[taken.order].time < taken.row.time
    assert min(left.values(), default=0) >= 0
    parts_of_rows = [(each.row, each.quantity) for each in matching.matched_returns]
    parts_of_rows += [(each.row, each.quantity) for each in matching.unmatched]
    assert all(quantity > 0 for _, quantity in parts_of_rows)
    assert pieces(parts_of_rows) == pieces((row, row.quantity) for row in returns)


@given(days())
def test_an_unmatched_piece_has_no_sale_left(day: Day) -> None:
    """And its reason is correct: whether there ever was one."""
    orders, returns = day
    matching = match(orders, returns)
    sold = sold_pieces(orders)
    left = sold.copy()
    for taken in matching.matched_returns:
        left[taken.order, taken.row.sku, taken.row.unit_price] -= taken.quantity
    for row, reason in ((short.row, short.reason) for short in matching.unmatched):
        before = [each.invoice for each in orders if each.time < row.time and each.customer_id == row.customer_id]
        known = [(invoice, row.sku, row.unit_price) for invoice in before if row.customer_id]
        assert not any(left[key] for key in known)
        assert (reason is Reason.MORE_THAN_SOLD) == any(sold[key] for key in known)
        assert (reason is Reason.NO_CUSTOMER) == (not row.customer_id)


@given(days())
def test_the_returned_money_and_goods_equal_the_matched_ones(day: Day) -> None:
    """Once for each return and order, and nothing is lost."""
    matching = match(*day)
    goods = list(matching.goods_back())
    assert len({(back.invoice, back.order) for back in goods}) == len(goods)
    assert sum(sum(back.pieces.values()) for back in goods) == matching.matched.units
    taken = sum((each.quantity * each.row.unit_price for each in matching.matched_returns), Decimal(0))
    assert sum((back.amount for back in goods), Decimal(0)) == taken


@given(days(), HOURS, HOURS)
def test_another_selection_takes_the_same_from_the_orders_in_both(day: Day, first: int, last: int) -> None:
    """So the request for one return and one order is always the same."""
    orders, returns = day
    hours = {MORNING + timedelta(hours=hour) for hour in range(first, last + 1)}
    some_orders = [each for each in orders if each.time in hours]
    some_returns = [row for row in returns if row.time in hours]
    in_both = {(row.invoice, each.invoice) for row in some_returns for each in some_orders}
    whole = {(back.invoice, back.order): back for back in match(orders, returns).goods_back()}
    some = {(back.invoice, back.order): back for back in match(some_orders, some_returns).goods_back()}
    assert some == {pair: back for pair, back in whole.items() if pair in in_both}
