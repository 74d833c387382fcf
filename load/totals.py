"""What the responses of a bench add up to, for comparison with what the server stores."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from load.order_requests import Line

_NAMED = 5


class Mismatch(Exception):
    """The server's stock or orders differ from what its responses add up to; the text has the figures."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the server has at the end."""

    levels: Sequence[tuple[int, int]]
    """For each product, the stock on hand and the reserved part of it."""
    orders: int
    pieces: int
    """Of all orders together."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The totals that were found to be correct."""

    orders: int
    pieces: int
    unanswered: int
    """Calls that ended without a response, so that it is unknown whether the order was placed."""
    placed_unanswered: int
    """How many of those placed their order."""


class ExpectedTotals:
    """Counts orders and pieces, answered ones and those with an unknown outcome."""

    def __init__(self, skus: Sequence[str], stock: int) -> None:
        """`stock` is how many pieces of each product were put on hand."""
        self._skus = skus
        self._stock = stock
        self._held = [0] * len(skus)
        self._maybe_placed = [0] * len(skus)
        self._orders = 0
        self._unanswered = 0

    def place(self, lines: Iterable[Line]) -> None:
        """Counts an answered order."""
        self._orders += 1
        for product, pieces in lines:
            self._held[product] += pieces

    def add_unanswered(self, lines: Iterable[Line]) -> None:
        """Counts an order that may have been placed, but was not answered."""
        self._unanswered += 1
        for product, pieces in lines:
            self._maybe_placed[product] += pieces

    def check(self, kept: Kept) -> Checked:
        """Raises Mismatch unless everything equals the answered orders, plus at most the unanswered ones."""
        wrong = list(self._wrong_levels(kept.levels))
        if not 0 <= kept.orders - self._orders <= self._unanswered:
            wrong.append(f"{kept.orders:,} orders are kept, {self._orders:,} were answered{self._or_more()}")
        held = sum(held for _, held in kept.levels)
        if held != kept.pieces:
            wrong.append(f"{held:,} pieces are reserved, the orders have {kept.pieces:,}")
        if wrong:
            more = f"; and {len(wrong) - _NAMED:,} more" if len(wrong) > _NAMED else ""
            raise Mismatch("; ".join(wrong[:_NAMED]) + more)
        return Checked(kept.orders, kept.pieces, self._unanswered, kept.orders - self._orders)

    def _wrong_levels(self, levels: Sequence[tuple[int, int]]) -> Iterable[str]:
        expected = zip(self._skus, levels, self._held, self._maybe_placed, strict=True)
        for sku, (on_hand, held), least, perhaps in expected:
            if on_hand != self._stock:
                yield f"{sku}: {on_hand:,} are on hand, {self._stock:,} were received"
            if not 0 <= held - least <= perhaps:
                more = f", and up to {perhaps:,} more" if perhaps else ""
                yield f"{sku}: {held:,} are reserved, the answers say {least:,}{more}"

    def _or_more(self) -> str:
        return f", {self._unanswered:,} calls were not" if self._unanswered else ""
