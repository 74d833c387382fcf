from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

from server.commerce.errors import (
    CurrencyMismatch,
    CustomerNotPermitted,
    HoldTooLong,
    OrderNotFound,
    OutOfStock,
    PriceNotPermitted,
    ProductArchived,
    ProductNotFound,
    ReferenceTaken,
    TooManyAbandonedOrders,
    TotalNotPayable,
    UnpaidLimitExceeded,
)
from server.commerce.rules.inventory import Ledger, total_by_sku
from server.frame.caller import Caller
from server.frame.errors import MAX_NAMED, AccountDeleted, PreconditionViolation, Refusal
from storage.commerce.records import (
    NewMovement,
    Order,
    OrderAudience,
    OrderLine,
    OrderState,
    Price,
    StockItem,
    StockReason,
    Unpaid,
)
from storage.frame.records import ChangeContext

HOLD = timedelta(minutes=15)
"""For how long an order reserves its stock by default."""

MAX_UNPAID_ORDERS = 20
MAX_HELD_PIECES = 1000

_GIVEN_UP = 10
"""How many orders may be abandoned within the hour, as a multiple of those that may be unpaid."""

NO_UNPAID: Mapping[str, Unpaid] = MappingProxyType({})

Reference = tuple[UUID, str]
"""Who placed an order, and that caller's own number of it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a customer may reserve without having paid, for how long, and what can be paid at all."""

    hold: timedelta = HOLD
    """For how long an order reserves its stock where its caller does not say, and at most without
    `orders.hold_more`."""
    max_unpaid_orders: int = MAX_UNPAID_ORDERS
    """Of one customer at a time, where whoever places them lacks `orders.hold_more`."""
    max_held_pieces: int = MAX_HELD_PIECES
    """Which those orders reserve together."""
    payable: Callable[[Price], bool] = lambda _: True
    """Whether an amount can be paid: a provider may know no fraction of a penny."""

    @property
    def max_given_up(self) -> int:
        """How many orders of one customer may have been cancelled or expired lately.

        To place and cancel costs nothing but the server's work: rows that stay, and locks on stock that others want.
        """
        return _GIVEN_UP * self.max_unpaid_orders


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a request; without a price it is sold at the catalog's."""

    sku: str
    quantity: int
    unit_price: Price | None


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """A request to place an order, under the id that the order will have."""

    caller: Caller
    context: ChangeContext
    order_id: UUID
    reference: str | None
    customer_id: str | None
    """None means the caller."""
    lines: tuple[Line, ...]
    hold: timedelta | None = None
    """For how long it reserves its stock unless it is paid; None means the server's default."""

    @property
    def reference_key(self) -> Reference | None:
        return (self.caller.account_id, self.reference) if self.reference else None

    @property
    def customer(self) -> str:
        """Whose order it will be."""
        return self.customer_id or str(self.caller.account_id)


@dataclass(frozen=True, slots=True)
class ReadOrder:
    """A request to see an order."""

    caller: Caller
    order_id: UUID


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The outcome of each request, the orders that were placed, and the movements that reserve their stock."""

    answers: Sequence[Order | Refusal]
    placed: Sequence[Order]
    moves: Sequence[NewMovement]


def skus_of(requests: Sequence[PlaceOrder]) -> set[str]:
    return {line.sku for request in requests for line in request.lines}


def references_of(requests: Sequence[PlaceOrder]) -> set[Reference]:
    return {key for request in requests if (key := request.reference_key)}


def others_of(requests: Sequence[PlaceOrder]) -> set[str]:
    """The customers for whom somebody else calls, and whose accounts may have been deleted."""
    return {request.customer for request in requests if request.customer != request.caller.account}


def bounded_customers(requests: Sequence[PlaceOrder]) -> set[str]:
    """The customers whose unpaid orders are to be counted."""
    return {request.customer for request in requests if not request.caller.may("orders.hold_more")}


def decide(
    requests: Sequence[PlaceOrder],
    stock_items: Mapping[str, StockItem],
    taken: Mapping[Reference, UUID],
    now: datetime,
    terms: Terms = Terms(),
    unpaid: Mapping[str, Unpaid] = NO_UNPAID,
    deleted: Collection[str] = (),
) -> Verdicts:
    """Decides orders in the order they came: the first that the stock covers gets it, and reserves it for a while.

    `unpaid` is what the bounded customers have not paid yet; who is not in it has paid all. `deleted` are the customers
    whose accounts were deleted.
    """
    placement = _Placement(stock_items, taken, now, terms, unpaid, deleted)
    answers = [placement.decide(request) for request in requests]
    return Verdicts(answers, placement.placed, placement.ledger.moves)


class _Placement:
    """The state of one decision, from the first request to the last."""

    def __init__(
        self,
        stock_items: Mapping[str, StockItem],
        taken: Mapping[Reference, UUID],
        now: datetime,
        terms: Terms,
        unpaid: Mapping[str, Unpaid],
        deleted: Collection[str],
    ) -> None:
        self._stock_items = stock_items
        self._taken = dict(taken)
        self._now = now
        self._terms = terms
        self._unpaid = dict(unpaid)
        self._deleted = deleted
        self.ledger = Ledger(stock_items.values(), now)
        self.placed: list[Order] = []

    def decide(self, request: PlaceOrder) -> Order | Refusal:
        try:
            self._check_rights(request)
            self._check_reference(request)
            lines, currency = self._priced(request)
            total = Price(sum((line.quantity * line.unit_price for line in lines), Decimal(0)), currency)
            self._check_total(total)
            self._check_stock(request)
            unpaid = self._held_with(request)
        except Refusal as refusal:
            return refusal
        order = _order(request, lines, total, self._now, request.hold or self._terms.hold)
        self._unpaid[request.customer] = unpaid
        self.ledger.book(order, StockReason.HELD, request.caller.account_id)
        if request.reference_key:
            self._taken[request.reference_key] = order.id
        self.placed.append(order)
        return order

    def _check_rights(self, request: PlaceOrder) -> None:
        if any(line.unit_price for line in request.lines) and not request.caller.may("orders.set_price"):
            raise PriceNotPermitted(permission="orders.set_price")
        if not _is_own(request.customer_id, request.caller) and not request.caller.may("orders.place_for"):
            raise CustomerNotPermitted(permission="orders.place_for")
        if request.customer in self._deleted:
            raise AccountDeleted(account_id=request.customer)
        if request.hold and request.hold > self._terms.hold and not request.caller.may("orders.hold_more"):
            longest = str(int(self._terms.hold.total_seconds()))
            raise HoldTooLong(permission="orders.hold_more", longest_seconds=longest)

    def _check_reference(self, request: PlaceOrder) -> None:
        if request.reference_key in self._taken:
            raise ReferenceTaken(order_id=str(self._taken[request.reference_key]))

    def _priced(self, request: PlaceOrder) -> tuple[tuple[OrderLine, ...], str]:
        if unknown := next((line.sku for line in request.lines if line.sku not in self._stock_items), None):
            raise ProductNotFound(sku=unknown)
        lines: list[OrderLine] = []
        currencies: set[str] = set()
        for line in request.lines:
            stock_item = self._stock_items[line.sku]
            if stock_item.archived:
                raise ProductArchived(sku=line.sku)
            price = line.unit_price or stock_item.price
            currencies.add(price.currency)
            lines.append(OrderLine(stock_item.product_id, line.sku, line.quantity, price.amount))
        if len(currencies) > 1:
            # An answer's metadata is bounded, and there are 17,576 codes.
            raise CurrencyMismatch(currencies=",".join(sorted(currencies)[:MAX_NAMED]))
        return tuple(lines), currencies.pop()

    def _check_total(self, total: Price) -> None:
        if not self._terms.payable(total):
            raise TotalNotPayable(total=f"{total.amount.normalize():f}", currency=total.currency)

    def _held_with(self, request: PlaceOrder) -> Unpaid:
        """What the customer has not paid with this order; raises UnpaidLimitExceeded, TooManyAbandonedOrders."""
        before = self._unpaid.get(request.customer, Unpaid(0, 0))
        pieces = before.pieces + sum(line.quantity for line in request.lines)
        held = replace(before, orders=before.orders + 1, pieces=pieces)
        if not request.caller.may("orders.hold_more"):
            self._check_unpaid(held)
        return held

    def _check_unpaid(self, held: Unpaid) -> None:
        terms = self._terms
        if held.orders > terms.max_unpaid_orders or held.pieces > terms.max_held_pieces:
            raise UnpaidLimitExceeded(
                orders=str(held.orders),
                pieces=str(held.pieces),
                most_orders=str(terms.max_unpaid_orders),
                most_pieces=str(terms.max_held_pieces),
            )
        if held.given_up >= terms.max_given_up:
            raise TooManyAbandonedOrders(orders=str(held.given_up), most_orders=str(terms.max_given_up))

    def _check_stock(self, request: PlaceOrder) -> None:
        """Raises OutOfStock with each SKU that there is too little of."""
        wanted = total_by_sku(request.lines)
        short = [sku for sku, quantity in wanted.items() if quantity > self.ledger.available(sku)]
        if short:
            raise OutOfStock(preconditions=[self._shortage(request.caller, sku, wanted[sku]) for sku in short])

    def _shortage(self, caller: Caller, sku: str, wanted: int) -> PreconditionViolation:
        """The quantity is revealed to those who may call GetStock."""
        available = self.ledger.available(sku) if caller.may("inventory.read") else "fewer"
        return PreconditionViolation("STOCK", sku, f"{wanted} wanted, {available} available")


def _order(request: PlaceOrder, lines: tuple[OrderLine, ...], total: Price, now: datetime, hold: timedelta) -> Order:
    return Order(
        id=request.order_id,
        reference=request.reference,
        customer_id=request.customer,
        placed_by=request.caller.account_id,
        state=OrderState.PENDING,
        lines=lines,
        line_count=len(lines),
        unit_count=sum(line.quantity for line in lines),
        total=total,
        cancel_reason="",
        create_time=now,
        update_time=now,
        hold_end_time=now + hold,
    )


def as_placed(order: Order) -> Order:
    """The order as PlaceOrder first answered it, whatever has become of it since."""
    return replace(order, state=OrderState.PENDING, cancel_reason="", update_time=order.create_time)


def visible(order: Order | None, caller: Caller, order_id: UUID) -> Order:
    """The order; raises OrderNotFound where there is none, and just so where the caller may not see it."""
    if order is None or not may_see(order, caller):
        raise OrderNotFound(order_id=str(order_id))
    return order


def seen(order: Order | None, request: ReadOrder) -> Order | Refusal:
    """The answer to a request to see an order."""
    try:
        return visible(order, request.caller, request.order_id)
    except Refusal as refusal:
        return refusal


def customer_to_list(wanted: str | None, caller: Caller) -> str | None:
    """Whose orders a list may show, None being everybody's; raises CustomerNotPermitted."""
    if caller.may("orders.read_all"):
        return wanted
    if not _is_own(wanted, caller):
        raise CustomerNotPermitted(permission="orders.read_all")
    return str(caller.account_id)


def _is_own(customer_id: str | None, caller: Caller) -> bool:
    return customer_id is None or customer_id == str(caller.account_id)


def may_see(order: Order, caller: Caller) -> bool:
    """A customer its own; what it placed for others, an account that may do so now; all, who may read all."""
    if order.customer_id == str(caller.account_id) or caller.may("orders.read_all"):
        return True
    return order.placed_by == caller.account_id and caller.may("orders.place_for")


def audience_of(customer_id: str | None, caller: Caller) -> OrderAudience:
    """Which orders a caller gets who requests one customer's, or all; raises CustomerNotPermitted."""
    if customer_id is None and caller.may("orders.place_for") and not caller.may("orders.read_all"):
        return OrderAudience(account_id=caller.account_id)
    return OrderAudience(customer_id=customer_to_list(customer_id, caller))


def concerns(order: Order, audience: OrderAudience) -> bool:
    """Whether an audience gets an order."""
    if audience.customer_id is not None and order.customer_id != audience.customer_id:
        return False
    mine = audience.account_id
    return mine is None or order.customer_id == str(mine) or order.placed_by == mine
