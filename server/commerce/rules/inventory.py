from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from server.commerce.errors import ProductNotFound, StockTooLow
from server.frame.caller import Caller
from server.frame.errors import FieldInvalid, Refusal
from storage.commerce.records import Level, Move, Order, Shelf, StockReason
from storage.frame.records import Ask


@dataclass(frozen=True, slots=True)
class AdjustStock:
    """An ask to change how much of a product is on hand."""

    caller: Caller
    asked: Ask
    sku: str
    delta: int
    reason: StockReason
    note: str


@dataclass(frozen=True, slots=True)
class Adjustments:
    """What became of each ask, and the movements of those that were granted."""

    answers: Sequence[Level | Refusal]
    moves: Sequence[Move]


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

    def __init__(self, shelves: Iterable[Shelf], now: datetime) -> None:
        self._shelves = {shelf.sku: shelf for shelf in shelves}
        self._levels = {shelf.sku: (shelf.on_hand, shelf.held) for shelf in self._shelves.values()}
        self._now = now
        self.moves: list[Move] = []

    def available(self, sku: str) -> int:
        on_hand, held = self._levels[sku]
        return on_hand - held

    def level(self, sku: str) -> Level:
        return Level(sku, *self._levels[sku])

    def book(
        self, order: Order, reason: StockReason, account_id: UUID, pieces: Mapping[str, int] | None = None
    ) -> None:
        """Enters what an order does to the stock: with all its pieces, or with these, by SKU."""
        on_hand, held = _EFFECTS[reason]
        for sku, quantity in (pieces_of(order) if pieces is None else pieces).items():
            self.move(sku, reason, account_id, on_hand=on_hand * quantity, held=held * quantity, order_id=order.id)

    def holds(self, order: Order) -> bool:
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
        product_id = self._shelves[sku].product_id
        self.moves.append(Move(product_id, reason, on_hand, held, *after, order_id, note, account_id, self._now))


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


def adjust(asks: Sequence[AdjustStock], shelves: Mapping[str, Shelf], now: datetime) -> Adjustments:
    """Decides adjustments in the order they came, each on what the ones before it left."""
    ledger = Ledger(shelves.values(), now)
    answers = [_adjust(ask, ledger, shelves) for ask in asks]
    return Adjustments(answers, ledger.moves)


def _adjust(ask: AdjustStock, ledger: Ledger, shelves: Mapping[str, Shelf]) -> Level | Refusal:
    if ask.sku not in shelves:
        return ProductNotFound(sku=ask.sku)
    if ledger.available(ask.sku) + ask.delta < 0:
        return StockTooLow(sku=ask.sku, available=str(ledger.available(ask.sku)))
    ledger.move(ask.sku, ask.reason, ask.caller.account_id, on_hand=ask.delta, note=ask.note)
    return ledger.level(ask.sku)
