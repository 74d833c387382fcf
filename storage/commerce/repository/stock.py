from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from storage.base import Reader, Records, Repository, insert_json, json_parameter, json_rows, update_json, values_getter
from storage.commerce.records import Movement, NewMovement, Price, StockItem, StockLevel, StockReason
from storage.commerce.tables import products, stock, stock_movements

_MOVE = (
    "product_id",
    "reason",
    "on_hand_delta",
    "held_delta",
    "on_hand_after",
    "held_after",
    "order_id",
    "note",
    "account_id",
    "create_time",
)
_LEVEL = ("product_id", "on_hand", "held")
_STOCK_ITEM_OF = Records(StockItem, price=(Price, "price", "currency"))
_LEVELS = Records(StockLevel)
_MOVEMENTS = Records(Movement, reason=StockReason)
_MOVED = values_getter(_MOVE)
_LEFT = values_getter(_LEVEL, on_hand="on_hand_after", held="held_after")

_STOCK_ITEM = (products.c.sku, products.c.price, products.c.currency, products.c.archived)

_STOCK_ITEMS: Select[Any] = select(stock.c.product_id, *_STOCK_ITEM, stock.c.on_hand, stock.c.held)
_LOCKED = _STOCK_ITEMS.join_from(stock, products).order_by(stock.c.product_id).with_for_update(of=stock)
_LOCK = _LOCKED.where(products.c.sku.in_(select(json_rows(products, "sku").c.sku)))
_LOCK_BY_ID = _LOCKED.where(stock.c.product_id.in_(select(json_rows(stock, "product_id").c.product_id)))
_ENTRIES = insert_json(stock_movements, *_MOVE, name="moves").cte("entries")
_MOVE_ALL = update_json(stock, *_LEVEL).add_cte(_ENTRIES)


class StockReader(Reader):
    """How much there is, and how that came about."""

    async def find_level(self, sku: str) -> StockLevel | None:
        statement = select(products.c.sku, stock.c.on_hand, stock.c.held).join_from(products, stock)
        return _LEVELS.first(await self._connection.execute(statement.where(products.c.sku == sku)))

    async def list_movements(self, product_id: UUID, *, before: int | None, limit: int) -> Sequence[Movement]:
        """A product's movements from the latest on, starting below a sequence."""
        entries = (products.c.sku if name == "product_id" else stock_movements.c[name] for name in _MOVE)
        statement = select(stock_movements.c.sequence, *entries).join_from(stock_movements, products)
        statement = statement.where(stock_movements.c.product_id == product_id)
        if before is not None:
            statement = statement.where(stock_movements.c.sequence < before)
        statement = statement.order_by(stock_movements.c.sequence.desc()).limit(limit)
        return _MOVEMENTS.all(await self._connection.execute(statement))


class StockRepository(StockReader, Repository):
    """How much there is: a ledger of movements, and the balance that it adds up to.

    Whoever moves stock locks it first, in key order, so that no two transactions wait for one another.
    """

    async def lock(self, skus: Collection[str]) -> Mapping[str, StockItem]:
        """The shelves that exist of these SKUs, locked until the transaction ends."""
        values = json_parameter(("sku",), ((sku,) for sku in skus))
        return {each.sku: each for each in _STOCK_ITEM_OF.all(await self._connection.execute(_LOCK, values))}

    async def lock_by_id(self, product_ids: Collection[UUID]) -> Mapping[UUID, StockItem]:
        """The shelves of these products, locked until the transaction ends."""
        values = json_parameter(("product_id",), ((each,) for each in product_ids))
        return {
            each.product_id: each for each in _STOCK_ITEM_OF.all(await self._connection.execute(_LOCK_BY_ID, values))
        }

    async def move(self, moves: Sequence[NewMovement]) -> None:
        """Writes movements into the ledger, and what the last one of each product says into the balance.

        The stock of these products was locked in this transaction, and the moves come in ledger order.
        """
        if not moves:
            return
        last = {move.product_id: move for move in moves}
        entries = json_parameter(_MOVE, map(_MOVED, moves), name="moves")
        await self._connection.execute(_MOVE_ALL, entries | json_parameter(_LEVEL, map(_LEFT, last.values())))
