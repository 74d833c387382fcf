"""How an order is decided from the locked catalog and stock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from bench.peers.usual.errors import CurrencyMismatch, OutOfStock, PermissionMissing, ProductArchived, ProductNotFound
from bench.peers.usual.models import PENDING
from bench.peers.usual.schemas import LineIn, OrderIn
from bench.peers.usual.security import Caller

_EXACT = Decimal("1e-9")
"""The store's precision, so that the first response equals a later one."""


@dataclass(frozen=True, slots=True)
class StockItem:
    """A product for sale, and its stock."""

    product_id: UUID
    sku: str
    price: Decimal
    currency: str
    archived: bool
    on_hand: int
    held: int


@dataclass(frozen=True, slots=True)
class Call:
    """The caller, its address, and the time."""

    caller: Caller
    id: UUID
    address: str
    time: datetime


@dataclass(frozen=True, slots=True)
class NewLine:
    product_id: UUID
    sku: str
    quantity: int
    unit_price: Decimal

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.unit_price


@dataclass(frozen=True, slots=True)
class Hold:
    """One line's entry in the stock ledger."""

    product_id: UUID
    quantity: int
    on_hand_after: int
    held_after: int


@dataclass(frozen=True, slots=True)
class NewOrder:
    id: UUID
    reference: str | None
    customer_id: str
    placed_by: UUID
    state: str
    line_count: int
    unit_count: int
    total: Decimal
    currency: str
    cancel_reason: str
    create_time: datetime
    update_time: datetime
    hold_end_time: datetime
    lines: Sequence[NewLine]
    holds: Sequence[Hold]


def decide(asked: OrderIn, call: Call, stock_items: Mapping[str, StockItem], order_id: UUID) -> NewOrder:
    """Raises PermissionMissing, ProductNotFound, ProductArchived, CurrencyMismatch, OutOfStock."""
    customer_id = _customer(asked, call.caller)
    lines = [_priced(line, call.caller, stock_items) for line in asked.lines]
    currencies = {stock_items[line.sku].currency for line in lines}
    if len(currencies) > 1:
        raise CurrencyMismatch
    return NewOrder(
        id=order_id,
        reference=asked.reference or None,
        customer_id=customer_id,
        placed_by=call.caller.account_id,
        state=PENDING,
        line_count=len(lines),
        unit_count=sum(line.quantity for line in lines),
        total=sum((line.amount for line in lines), Decimal(0)),
        currency=currencies.pop(),
        cancel_reason="",
        create_time=call.time,
        update_time=call.time,
        hold_end_time=call.time + timedelta(seconds=asked.hold_seconds),
        lines=lines,
        holds=_holds(lines, stock_items),
    )


def _customer(asked: OrderIn, caller: Caller) -> str:
    own = str(caller.account_id)
    if asked.customer_id not in ("", own) and not caller.may("orders.place_for"):
        raise PermissionMissing
    return asked.customer_id or own


def _priced(line: LineIn, caller: Caller, stock_items: Mapping[str, StockItem]) -> NewLine:
    stock_item = stock_items.get(line.sku)
    if stock_item is None:
        raise ProductNotFound
    if stock_item.archived:
        raise ProductArchived
    price = stock_item.price
    if line.unit_price is not None:
        if not caller.may("orders.set_price"):
            raise PermissionMissing
        price = line.unit_price.quantize(_EXACT)
    return NewLine(stock_item.product_id, line.sku, line.quantity, price)


def _holds(lines: Sequence[NewLine], stock_items: Mapping[str, StockItem]) -> list[Hold]:
    held = {sku: stock_item.held for sku, stock_item in stock_items.items()}
    holds = []
    for line in lines:
        held[line.sku] += line.quantity
        on_hand = stock_items[line.sku].on_hand
        if held[line.sku] > on_hand:
            raise OutOfStock
        holds.append(Hold(line.product_id, line.quantity, on_hand, held[line.sku]))
    return holds
