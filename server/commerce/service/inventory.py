from collections.abc import Callable, Sequence
from datetime import datetime

from server.commerce.errors import ProductNotFound
from server.commerce.rules import inventory as rules
from server.commerce.service.answers import LEVEL
from server.frame.errors import Refusal
from server.frame.repeating import once_for_each
from storage.commerce.records import Movement, StockLevel
from storage.commerce.store import CommerceStore, CommerceTransaction


class Inventory:
    """How much there is, and why."""

    def __init__(self, store: CommerceStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def adjust(self, requests: Sequence[rules.AdjustStock]) -> Sequence[StockLevel | Refusal]:
        """Decides adjustments in the order they came, all in one transaction."""

        async def act(tx: CommerceTransaction, new: Sequence[rules.AdjustStock]) -> Sequence[StockLevel | Refusal]:
            stock_items = await tx.stock.lock({request.sku for request in new})
            decision = rules.adjust(new, stock_items, self._now())
            await tx.stock.move(decision.moves)
            return decision.answers

        return await once_for_each(self._store, requests, LEVEL, act, lambda level: f"product/{level.sku}")

    async def level(self, sku: str) -> StockLevel:
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
