"""The final figures of a replay."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from google.type.money_pb2 import Money

from backroom.commerce.v1.orders_pb2 import Order as PlacedOrder
from backroom.commerce.v1.payments_pb2 import Payment
from replay.dataset import NotReplayed, Order
from replay.returns import Matching

CURRENCY = "GBP"


@dataclass(frozen=True, slots=True)
class Figures:
    """What was sold; `revenue` in GBP, exact."""

    orders: int
    lines: int
    units: int
    revenue: Decimal
    products: int
    """How many products were sold at all."""


@dataclass(frozen=True, slots=True)
class Paid:
    """What was paid; `amount` in GBP, exact."""

    orders: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Refusals:
    """How often the server refused one kind of change for one reason."""

    what: str
    reason: str
    count: int
    example: str
    """The first one, with the server's message."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a replay."""

    figures: Figures
    """Counted only from the server's responses."""
    expected: Figures
    """The file's figures."""
    paid: Paid | None
    """Counted from the server's responses; None without a payment provider."""
    matching: Matching
    """Which returns belong to which orders, from the file alone."""
    paid_back: Decimal
    """How much of the returns' money was refunded, counted from the server's responses; in GBP, exact."""
    refusals: tuple[Refusals, ...]
    write_offs: int
    written_off_units: int
    not_replayed: NotReplayed
    seconds: float
    """How long the whole replay took."""
    placing_seconds: float
    """How long the orders alone took."""

    @property
    def complete(self) -> bool:
        """Whether nothing was refused, and the server sold and was paid what the file says, to the last digit.

        Without a payment provider, payment is not required.
        """
        whole = Paid(self.expected.orders, self.expected.revenue)
        return not self.refusals and self.figures == self.expected and self.paid in (None, whole)

    @property
    def orders_per_second(self) -> float:
        return self.figures.orders / max(self.placing_seconds, 1e-9)

    @property
    def lines_per_second(self) -> float:
        return self.figures.lines / max(self.placing_seconds, 1e-9)


class UnexpectedAnswer(Exception):
    """The server's response violates the contract; the text says how."""


class Tally:
    """Adds up orders, one by one."""

    def __init__(self) -> None:
        self._orders = 0
        self._lines = 0
        self._units = 0
        self._revenue = Decimal(0)
        self._skus: set[str] = set()

    def add(self, lines: Iterable[tuple[str, int, Decimal]]) -> None:
        """Counts one order by its lines' SKUs, quantities and amounts."""
        self._orders += 1
        for sku, quantity, amount in lines:
            self._lines += 1
            self._units += quantity
            self._revenue += amount
            self._skus.add(sku)

    def figures(self) -> Figures:
        return Figures(self._orders, self._lines, self._units, self._revenue, len(self._skus))


def placed_lines(order: PlacedOrder) -> list[tuple[str, int, Decimal]]:
    """A response's lines, as a Tally takes them."""
    return [(line.sku, line.quantity, exact_amount(line.amount)) for line in order.lines]


def paid(payments: Iterable[Payment]) -> Paid:
    """What payments took, each of one order, whatever was refunded since."""
    taken = [exact_amount(payment.captured_amount) for payment in payments]
    return Paid(len(taken), sum(taken, Decimal(0)))


def expected(orders: Iterable[Order]) -> Figures:
    """The final figures of a replay without a refusal."""
    tally = Tally()
    for order in orders:
        tally.add([(line.sku, line.quantity, line.quantity * line.unit_price) for line in order.lines])
    return tally.figures()


def exact_amount(money: Money) -> Decimal:
    """The amount; raises UnexpectedAnswer if it is not in GBP."""
    if money.currency_code != CURRENCY:
        raise UnexpectedAnswer(f"an amount came back in {money.currency_code!r}, not in {CURRENCY}")
    return money.units + Decimal(money.nanos).scaleb(-9)
