"""Products inserted directly into the peer's database, each with stock and its ledger entry."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from bench.peers.usual.models import Product, Stock, StockMovement


@dataclass(frozen=True, slots=True)
class Goods:
    sku: str
    name: str
    price: Decimal
    currency: str


async def stock(engine: AsyncEngine, goods: Sequence[Goods], pieces: int, received_by: UUID) -> None:
    """Inserts new products, with this many pieces of each."""
    now = datetime.now(UTC)
    ids = [uuid7() for _ in goods]
    async with engine.begin() as connection:
        await connection.execute(insert(Product), [_product(*each, now) for each in zip(ids, goods, strict=True)])
        levels = [{"product_id": product_id, "on_hand": pieces, "held": 0} for product_id in ids]
        await connection.execute(insert(Stock), levels)
        received = [_received(product_id, pieces, received_by, now) for product_id in ids]
        await connection.execute(insert(StockMovement), received)


def _product(product_id: UUID, goods: Goods, now: datetime) -> dict[str, object]:
    return {
        "id": product_id,
        "sku": goods.sku,
        "name": goods.name,
        "description": "",
        "price": goods.price,
        "currency": goods.currency,
        "archived": False,
        "version": 1,
        "create_time": now,
        "update_time": now,
    }


def _received(product_id: UUID, pieces: int, received_by: UUID, now: datetime) -> dict[str, object]:
    return {
        "product_id": product_id,
        "reason": "received",
        "on_hand_delta": pieces,
        "held_delta": 0,
        "on_hand_after": pieces,
        "held_after": 0,
        "order_id": None,
        "note": "",
        "account_id": received_by,
        "create_time": now,
    }
