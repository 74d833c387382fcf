from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, insert, select

from storage.base import (
    Reader,
    Records,
    Repository,
    column_names,
    insert_json,
    json_parameter,
    json_rows,
    update_json,
    values_getter,
)
from storage.commerce.records import Price, Product
from storage.commerce.tables import products, stock

_COLUMNS = column_names(products)
_CHANGEABLE = ("id", "name", "description", "price", "currency", "archived", "version", "update_time")

_PRODUCTS = Records(Product, price=(Price, "price", "currency"))
_PRICE = {"price": "price.amount", "currency": "price.currency"}
_NEW = values_getter(_COLUMNS, **_PRICE)
_CHANGED = values_getter(_CHANGEABLE, **_PRICE)

_ADD = insert_json(products, *_COLUMNS).on_conflict_do_nothing(index_elements=["sku"]).returning(products.c.id)
_CHANGE = update_json(products, *_CHANGEABLE)
_FIND = select(products).where(products.c.id.in_(select(json_rows(products, "id").c.id)))
_FIND_BY_SKU = select(products).where(products.c.sku.in_(select(json_rows(products, "sku").c.sku)))
_LOCK_BY_SKU = _FIND_BY_SKU.order_by(products.c.id).with_for_update(key_share=True)


class ProductReader(Reader):
    """What is sold, as it stands."""

    async def find_many(self, product_ids: Collection[UUID]) -> Mapping[UUID, Product]:
        """The products that exist of these."""
        return {each.id: each for each in await self._find(_FIND, "id", product_ids)}

    async def find_many_by_sku(self, skus: Collection[str]) -> Mapping[str, Product]:
        """The products that exist of these SKUs."""
        return {each.sku: each for each in await self._find(_FIND_BY_SKU, "sku", skus)}

    async def find_by_sku(self, sku: str) -> Product | None:
        return (await self.find_many_by_sku([sku])).get(sku)

    async def list_by_sku(self, *, after: str | None, limit: int, archived: bool, size: int) -> Sequence[Product]:
        """Products by SKU, starting behind one; the archived ones too where asked.

        The last one is the first by which their texts are larger than `size` bytes together, unless `limit` ends them.
        """
        some = select(products)
        if after is not None:
            some = some.where(products.c.sku > after)
        if not archived:
            some = some.where(products.c.archived.is_(False))
        found = some.order_by(products.c.sku).limit(limit).subquery()
        mine = func.octet_length(found.c.name) + func.octet_length(found.c.description)
        so_far = (func.sum(mine).over(order_by=found.c.sku) - mine).label("so_far")
        sized = select(*found.c, so_far).subquery()
        statement = select(*(sized.c[name] for name in _COLUMNS)).where(sized.c.so_far <= size)
        return _PRODUCTS.all(await self._connection.execute(statement.order_by(sized.c.sku)))

    async def _find(self, statement: Select[Any], name: str, keys: Collection[UUID | str]) -> Sequence[Product]:
        if not keys:
            return []
        found = await self._connection.execute(statement, json_parameter((name,), ((key,) for key in keys)))
        return _PRODUCTS.all(found)


class ProductRepository(ProductReader, Repository):
    """What is sold.

    A product is locked against other edits only: orders that name it in the meantime need not wait.
    """

    async def add(self, new: Sequence[Product]) -> set[UUID]:
        """Adds products with a stock of nothing, and returns which were added: not those whose SKU is taken."""
        ordered = sorted(new, key=lambda product: product.sku)
        found = await self._connection.execute(_ADD, json_parameter(_COLUMNS, map(_NEW, ordered)))
        added = set(found.scalars())
        if added:
            rows = [{"product_id": product.id, "on_hand": 0, "held": 0} for product in ordered if product.id in added]
            await self._connection.execute(insert(stock), rows)
        return added

    async def change(self, changed: Sequence[Product]) -> None:
        """Stores the new values of products that were locked in this transaction."""
        await self._connection.execute(_CHANGE, json_parameter(_CHANGEABLE, map(_CHANGED, changed)))

    async def lock(self, product_id: UUID) -> Product | None:
        """The product, locked until the transaction ends."""
        statement = select(products).where(products.c.id == product_id).with_for_update(key_share=True)
        return _PRODUCTS.first(await self._connection.execute(statement))

    async def lock_by_sku(self, skus: Sequence[str]) -> Mapping[str, Product]:
        """The products that exist of these SKUs, locked in key order until the transaction ends."""
        found = await self._connection.execute(_LOCK_BY_SKU, json_parameter(("sku",), ((sku,) for sku in skus)))
        return {each.sku: each for each in _PRODUCTS.all(found)}
