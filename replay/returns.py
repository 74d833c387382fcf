"""Which sold goods were returned: returns, matched with the orders that sold them.

The file does not say which order a return belongs to.
It is assumed to be the latest earlier one in which the same customer bought the same product at the same price.
So another selection, which begins earlier or ends later, takes the same pieces from the same orders.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from replay.dataset import Order, Return

_Sale = tuple[str, str, Decimal]
"""A customer, a SKU and a price."""


class Reason(Enum):
    """Why pieces of a return match nothing; the value describes it."""

    NO_CUSTOMER = "without a customer"
    NEVER_SOLD = "never sold to that customer at that price before"
    MORE_THAN_SOLD = "more than were sold"


@dataclass(frozen=True, slots=True)
class MatchedReturn:
    """Pieces of a return that an order sold."""

    row: Return
    order: str
    """The order's invoice."""
    quantity: int


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Pieces of a return without a known sale."""

    row: Return
    quantity: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Amounts:
    """A total of returns; an invoice or a line counts if all of its pieces do."""

    invoices: int
    lines: int
    units: int


@dataclass(frozen=True, slots=True)
class GoodsBack:
    """What one return brings back of one order."""

    invoice: str
    order: str
    amount: Decimal
    """What was paid for them, in GBP, exact."""
    pieces: Mapping[str, int]
    """By SKU, in the SKUs' order."""


@dataclass(frozen=True, slots=True)
class Matching:
    """The result for each piece of the returns."""

    returns: Sequence[Return]
    matched_returns: Sequence[MatchedReturn]
    unmatched: Sequence[Unmatched]

    @property
    def all(self) -> Amounts:
        units = sum(row.quantity for row in self.returns)
        return Amounts(len({row.invoice for row in self.returns}), len(self.returns), units)

    @property
    def matched(self) -> Amounts:
        every = self.all
        short = len({left.row.invoice for left in self.unmatched})
        units = sum(taken.quantity for taken in self.matched_returns)
        return Amounts(every.invoices - short, every.lines - len(self.unmatched), units)

    def lines_and_units(self, reason: Reason) -> tuple[int, int]:
        """How many lines have pieces that match nothing for this reason, and how many pieces."""
        quantities = [left.quantity for left in self.unmatched if left.reason is reason]
        return len(quantities), sum(quantities)

    def goods_back(self) -> Iterator[GoodsBack]:
        """What is to be restocked and refunded; once for each return and order."""
        together: dict[tuple[str, str], list[MatchedReturn]] = defaultdict(list)
        for taken in self.matched_returns:
            together[taken.row.invoice, taken.order].append(taken)
        for (invoice, order), parts in together.items():
            pieces: Counter[str] = Counter()
            for part in parts:
                pieces[part.row.sku] += part.quantity
            amount = sum((part.quantity * part.row.unit_price for part in parts), Decimal(0))
            yield GoodsBack(invoice, order, amount, dict(sorted(pieces.items())))


def match(orders: Sequence[Order], returns: Sequence[Return]) -> Matching:
    """Matches returns in the order of their times; of two orders of one time, the later in the file is the later."""
    sales: dict[_Sale, list[_Sold]] = defaultdict(list)
    for order in sorted(orders, key=lambda order: order.time):
        for line in order.lines:
            sales[order.customer_id, line.sku, line.unit_price].append(_Sold(order.invoice, order.time, line.quantity))
    taken: list[MatchedReturn] = []
    unmatched: list[Unmatched] = []
    for row in sorted(returns, key=lambda row: row.time):
        sold = sales.get(_sale_of(row), ()) if row.customer_id else ()
        before = [line for line in sold if line.time < row.time]
        parts = list(_take(row, reversed(before)))
        taken += parts
        if left := row.quantity - sum(part.quantity for part in parts):
            unmatched.append(Unmatched(row, left, _why(row, sold=bool(before))))
    return Matching(returns, taken, unmatched)


@dataclass(slots=True)
class _Sold:
    """A line of an order, and how many of its pieces have not been returned yet."""

    order: str
    time: datetime
    left: int


def _sale_of(row: Return) -> _Sale:
    return row.customer_id, row.sku, row.unit_price


def _take(row: Return, lines: Iterable[_Sold]) -> Iterator[MatchedReturn]:
    wanted = row.quantity
    for sold in lines:
        if quantity := min(wanted, sold.left):
            sold.left -= quantity
            wanted -= quantity
            yield MatchedReturn(row, sold.order, quantity)


def _why(row: Return, *, sold: bool) -> Reason:
    if not row.customer_id:
        return Reason.NO_CUSTOMER
    return Reason.MORE_THAN_SOLD if sold else Reason.NEVER_SOLD
