from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from server.commerce.errors import ProductNotFound, StockTooLow
from server.frame.caller import Caller
from server.frame.errors import FieldInvalid, Refusal
from storage.commerce.records import NewMovement, Order, StockItem, StockLevel, StockReason
from storage.frame.records import ChangeContext


@dataclass(frozen=True, slots=True)
class AdjustStock:
    """An ask to change how much of a product is on hand."""

    caller: Caller
    context: ChangeContext
    sku: str
    delta: int
    reason: StockReason
    note: str


@dataclass(frozen=True, slots=True)
class Adjustments:
    """What became of each ask, and the movements of those that were granted."""

    answers: Sequence[StockLevel | Refusal]
    moves: Sequence[NewMovement]


_EFFECTS: Mapping[StockReason, tuple[int, int]] = {
    StockReason.HELD: (0, 1),
    StockReason.RELEASED: (0, -1),
    StockReason.EXPIRED: (0, -1),
    StockReason.SOLD: (-1, -1),
    StockReason.RETURNED: (1, 0),
}
"""What one piece of an order does to (on_hand, held)."""


class Ledger:
    """The shelves of a batch while it is being decided: each movement starts where the one before it ended.

    It is filled from rows that are locked, and lives no longer than one decision.
    """

    def __init__(self, stock_items: Iterable[StockItem], now: datetime) -> None:
        self._stock_items = {stock_item.sku: stock_item for stock_item in stock_items}
        self._levels = {
            stock_item.sku: (stock_item.on_hand, stock_item.held) for stock_item in self._stock_items.values()
        }
        self._now = now
        self.moves: list[NewMovement] = []

    def available(self, sku: str) -> int:
        on_hand, held = self._levels[sku]
        return on_hand - held

    def level(self, sku: str) -> StockLevel:
        return StockLevel(sku, *self._levels[sku])

    def book(
        self, order: Order, reason: StockReason, account_id: UUID, pieces: Mapping[str, int] | None = None
    ) -> None:
        """Enters what an order does to the stock: with all its pieces, or with these, by SKU."""
        on_hand, held = _EFFECTS[reason]
        for sku, quantity in (pieces_of(order) if pieces is None else pieces).items():
            self.move(sku, reason, account_id, on_hand=on_hand * quantity, held=held * quantity, order_id=order.id)

    def covers(self, order: Order) -> bool:
        """Whether there is enough for all of an order's pieces."""
        return all(quantity <= self.available(sku) for sku, quantity in pieces_of(order).items())

    def move(
        self,
        sku: str,
        reason: StockReason,
        account_id: UUID,
        *,
        on_hand: int = 0,
        held: int = 0,
        order_id: UUID | None = None,
        note: str = "",
    ) -> None:
        """Enters a movement; the caller has seen to it that nothing becomes negative."""
        before = self._levels[sku]
        after = (before[0] + on_hand, before[1] + held)
        self._levels[sku] = after
        product_id = self._stock_items[sku].product_id
        self.moves.append(NewMovement(product_id, reason, on_hand, held, *after, order_id, note, account_id, self._now))


class Counted(Protocol):
    """A line that asks for so many of something."""

    @property
    def sku(self) -> str: ...
    @property
    def quantity(self) -> int: ...


def total_by_sku(lines: Iterable[Counted]) -> Mapping[str, int]:
    """How many pieces of each SKU lines ask for together."""
    total: dict[str, int] = {}
    for line in lines:
        total[line.sku] = total.get(line.sku, 0) + line.quantity
    return total


def pieces_of(order: Order) -> Mapping[str, int]:
    """How many pieces of each SKU an order's lines ask for together."""
    return total_by_sku(order.lines)


def sign_fits(reason: StockReason, delta: int) -> None:
    """Raises FieldInvalid where goods come in by a write-off, or go out by a receipt."""
    if delta < 0 and reason in {StockReason.RECEIVED, StockReason.RETURNED}:
        raise FieldInvalid.of("delta", f"must be positive when the reason is {reason.name}")
    if delta > 0 and reason is StockReason.WRITTEN_OFF:
        raise FieldInvalid.of("delta", f"must be negative when the reason is {reason.name}")


def adjust(requests: Sequence[AdjustStock], stock_items: Mapping[str, StockItem], now: datetime) -> Adjustments:
    """Decides adjustments in the order they came, each on what the ones before it left."""
    ledger = Ledger(stock_items.values(), now)
    answers = [_adjust(request, ledger, stock_items) for request in requests]
    return Adjustments(answers, ledger.moves)


def _adjust(request: AdjustStock, ledger: Ledger, stock_items: Mapping[str, StockItem]) -> StockLevel | Refusal:
    if request.sku not in stock_items:
        return ProductNotFound(sku=request.sku)
    if ledger.available(request.sku) + request.delta < 0:
        return StockTooLow(sku=request.sku, available=str(ledger.available(request.sku)))
    ledger.move(request.sku, request.reason, request.caller.account_id, on_hand=request.delta, note=request.note)
    return ledger.level(request.sku)
