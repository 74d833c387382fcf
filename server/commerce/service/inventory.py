from collections.abc import Callable, Sequence
from datetime import datetime

from server.commerce.errors import ProductNotFound
from server.commerce.rules import inventory as rules
from server.frame.errors import Refusal
from server.frame.repeating import decoded, encoded, sift
from storage.commerce.records import Level, Movement
from storage.commerce.store import CommerceStore
from storage.frame.records import Claim


class Inventory:
    """How much there is, and why."""

    def __init__(self, store: CommerceStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def adjust(self, asks: Sequence[rules.AdjustStock]) -> Sequence[Level | Refusal]:
        """Decides adjustments in the order they came, all in one transaction."""
        async with self._store.transaction() as tx:
            sifted = await sift(tx, [Claim(ask.asked.key) if ask.asked.key else None for ask in asks])
            fresh = [asks[place] for place in sifted.fresh]
            shelves = await tx.stock.lock({ask.sku for ask in fresh})
            decision = rules.adjust(fresh, shelves, self._now())
            await tx.stock.move(decision.moves)
            outcomes = list(zip(fresh, decision.answers, strict=True))
            granted = [ask for ask, answer in outcomes if not isinstance(answer, Refusal)]
            await tx.audit.record([ask.asked.entry(f"product/{ask.sku}") for ask in granted])
            keyed = [(ask.asked.key, answer) for ask, answer in outcomes if ask.asked.key]
            await tx.requests.remember({k: encoded(Level, a) for k, a in keyed if not isinstance(a, Refusal)})
            await tx.requests.release([k.scope for k, a in keyed if isinstance(a, Refusal)])
        kept = {place: decoded(Level, answer) for place, answer in sifted.kept.items()}
        return sifted.answers(decision.answers, kept)

    async def level(self, sku: str) -> Level:
        """Raises ProductNotFound."""
        async with self._store.reading() as reading:
            level = await reading.stock.find_level(sku)
        if level is None:
            raise ProductNotFound(sku=sku)
        return level

    async def list_movements(self, sku: str, *, before: int | None, limit: int) -> Sequence[Movement]:
        """Raises ProductNotFound."""
        async with self._store.reading() as reading:
            product = await reading.products.find_by_sku(sku)
            if product is None:
                raise ProductNotFound(sku=sku)
            return await reading.stock.list_movements(product.id, before=before, limit=limit)
