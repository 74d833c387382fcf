from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.commerce.errors import ProductNotFound, StockTooLow
from server.frame.caller import Caller
from server.frame.errors import FieldInvalid, Refusal
from storage.commerce.records import Level, Move, Shelf, StockReason
from storage.frame.records import RequestKey


@dataclass(frozen=True, slots=True)
class AdjustStock:
    """An ask to change how much of a product is on hand."""

    caller: Caller
    key: RequestKey | None
    sku: str
    delta: int
    reason: StockReason
    note: str


@dataclass(frozen=True, slots=True)
class Adjustments:
    """What became of each ask, and the movements of those that were granted."""

    answers: Sequence[Level | Refusal]
    moves: Sequence[Move]


class Ledger:
    """The shelves of a batch while it is being decided: each movement starts where the one before it ended.

    It is filled from rows that are locked, and lives no longer than one decision.
    """

    def __init__(self, shelves: Mapping[str, Shelf], now: datetime) -> None:
        self._levels = {sku: (shelf.on_hand, shelf.held) for sku, shelf in shelves.items()}
        self._shelves = shelves
        self._now = now
        self.moves: list[Move] = []

    def available(self, sku: str) -> int:
        on_hand, held = self._levels[sku]
        return on_hand - held

    def level(self, sku: str) -> Level:
        return Level(sku, *self._levels[sku])

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


def sign_fits(reason: StockReason, delta: int) -> None:
    """Raises FieldInvalid where goods come in by a write-off, or go out by a receipt."""
    if delta < 0 and reason in {StockReason.RECEIVED, StockReason.RETURNED}:
        raise FieldInvalid.of("delta", f"must be positive where the reason is {reason.name}")
    if delta > 0 and reason is StockReason.WRITTEN_OFF:
        raise FieldInvalid.of("delta", f"must be negative where the reason is {reason.name}")


def adjust(asks: Sequence[AdjustStock], shelves: Mapping[str, Shelf], now: datetime) -> Adjustments:
    """Decides adjustments in the order they came, each on what the ones before it left."""
    ledger = Ledger(shelves, now)
    answers = [_adjust(ask, ledger, shelves) for ask in asks]
    return Adjustments(answers, ledger.moves)


def _adjust(ask: AdjustStock, ledger: Ledger, shelves: Mapping[str, Shelf]) -> Level | Refusal:
    if ask.sku not in shelves:
        return ProductNotFound(sku=ask.sku)
    if ledger.available(ask.sku) + ask.delta < 0:
        return StockTooLow(sku=ask.sku, available=str(ledger.available(ask.sku)))
    ledger.move(ask.sku, ask.reason, ask.caller.account_id, on_hand=ask.delta, note=ask.note)
    return ledger.level(ask.sku)
