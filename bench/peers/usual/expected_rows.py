"""What the peer's database must contain for one account's orders, from the answered calls."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bench.peers.usual.models import (
    HELD,
    AuditEntry,
    IdempotencyRecord,
    Order,
    OrderLine,
    Product,
    Stock,
    StockMovement,
)
from bench.totals import TotalsMismatch
from load.order_requests import Line

_NAMED = 3


class ExpectedRows:
    """The orders that were answered, and the pieces that they hold."""

    def __init__(self, account_id: UUID, skus: Sequence[str], on_hand: int) -> None:
        """This many pieces of each product were put on hand."""
        self._account_id = account_id
        self._skus = skus
        self._on_hand = on_hand
        self._held = dict.fromkeys(skus, 0)
        self._orders: list[UUID] = []
        self._lines: list[tuple[UUID, str, int]] = []

    def place(self, order_id: UUID, lines: Iterable[Line]) -> None:
        """Counts an answered order."""
        self._orders.append(order_id)
        for product, pieces in lines:
            self._held[self._skus[product]] += pieces
            self._lines.append((order_id, self._skus[product], pieces))

    async def check(self, engine: AsyncEngine) -> None:
        """Raises TotalsMismatch if there is more or less than was answered; no call may be under way."""
        orders = [(order_id,) for order_id in self._orders]
        audit = [(f"order/{order_id}",) for order_id in self._orders]
        levels = [(sku, self._on_hand, held) for sku, held in self._held.items()]
        async with engine.connect() as connection:
            await _compare(connection, "orders", self._own_orders(), orders)
            await _compare(connection, "order lines", self._own_lines(), self._lines)
            await _compare(connection, "ledger rows", self._own_movements(), self._lines)
            await _compare(connection, "idempotency records", self._own_records(), orders)
            await _compare(connection, "audit rows", self._own_entries(), audit)
            await _compare(connection, "stock", self._levels(), levels)
            await _compare(connection, "the ledger's sums", self._sums(), levels)

    def _own_orders(self) -> Select[*tuple[Any, ...]]:
        return select(Order.id).where(Order.placed_by == self._account_id)

    def _own_lines(self) -> Select[*tuple[Any, ...]]:
        lines = select(OrderLine.order_id, Product.sku, OrderLine.quantity).join_from(OrderLine, Product).join(Order)
        return lines.where(Order.placed_by == self._account_id)

    def _own_movements(self) -> Select[*tuple[Any, ...]]:
        holds = select(StockMovement.order_id, Product.sku, StockMovement.held_delta).join_from(StockMovement, Product)
        return holds.where(StockMovement.account_id == self._account_id, StockMovement.reason == HELD)

    def _own_records(self) -> Select[*tuple[Any, ...]]:
        return select(IdempotencyRecord.order_id).where(IdempotencyRecord.caller_id == self._account_id)

    def _own_entries(self) -> Select[*tuple[Any, ...]]:
        return select(AuditEntry.resource).where(AuditEntry.caller_id == self._account_id)

    def _levels(self) -> Select[*tuple[Any, ...]]:
        levels = select(Product.sku, Stock.on_hand, Stock.held).join_from(Stock, Product)
        return levels.where(Product.sku.in_(self._skus))

    def _sums(self) -> Select[*tuple[Any, ...]]:
        sums = (func.sum(StockMovement.on_hand_delta), func.sum(StockMovement.held_delta))
        ledger = select(Product.sku, *sums).join_from(StockMovement, Product)
        return ledger.where(Product.sku.in_(self._skus)).group_by(Product.sku)


async def _compare(
    connection: AsyncConnection, what: str, statement: Select[*tuple[Any, ...]], expected: Iterable[tuple[object, ...]]
) -> None:
    found = Counter(tuple(row) for row in await connection.execute(statement))
    wanted = Counter(expected)
    if found != wanted:
        more, less = (list((one - other).elements()) for one, other in ((found, wanted), (wanted, found)))
        raise TotalsMismatch(f"{what}: {len(more)} not expected {more[:_NAMED]}, {len(less)} missing {less[:_NAMED]}")
