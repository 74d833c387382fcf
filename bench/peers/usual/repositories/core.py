from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bench.peers.usual.errors import ReferenceTaken
from bench.peers.usual.models import Base
from bench.peers.usual.placing import Call, NewOrder, StockItem
from bench.peers.usual.repositories.port import Claim, Repository
from bench.peers.usual.repositories.rows import audit_row, line_rows, movement_rows, order_row
from bench.peers.usual.schemas import OrderLineOut, OrderOut, OrderSummary, ProductOut

_TABLES = Base.metadata.tables
_products, _stock, _movements = (_TABLES[name] for name in ("products", "stock", "stock_movements"))
_orders, _lines = _TABLES["orders"], _TABLES["order_lines"]
_records, _audit = _TABLES["idempotency_records"], _TABLES["audit_entries"]

# Statements whose form never changes are built once.
_CLAIM = upsert(_records).on_conflict_do_nothing().returning(_records.c.request_id)
_EARLIER = select(_records.c.caller_id, _records.c.request_id, _records.c.digest, _records.c.order_id).where(
    _records.c.caller_id == bindparam("caller_id"), _records.c.request_id == bindparam("request_id")
)
_LOCK = (
    select(
        _products.c.id,
        _products.c.sku,
        _products.c.price,
        _products.c.currency,
        _products.c.archived,
        _stock.c.on_hand,
        _stock.c.held,
    )
    .join_from(_stock, _products)
    .where(_products.c.sku.in_(bindparam("skus", expanding=True)))
    .order_by(_stock.c.product_id)
    .with_for_update(of=_stock)
)
_ADD_ORDER, _ADD_LINES, _ADD_MOVEMENTS, _ADD_AUDIT = (insert(each) for each in (_orders, _lines, _movements, _audit))
_HOLD = update(_stock).where(_stock.c.product_id == bindparam("of")).values(held=bindparam("now_held"))
_ORDER = select(_orders).where(_orders.c.id == bindparam("order_id"))
_LINES = (
    select(
        _products.c.sku,
        _lines.c.quantity,
        _lines.c.unit_price,
        (_lines.c.quantity * _lines.c.unit_price).label("amount"),
    )
    .join_from(_lines, _products)
    .where(_lines.c.order_id == bindparam("order_id"))
    .order_by(_lines.c.position)
)
_PRODUCT = select(_products).where(_products.c.id == bindparam("product_id"))
_PRODUCT_BY_SKU = select(_products).where(_products.c.sku == bindparam("sku"))


class CoreStorage:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Repository]:
        async with self._engine.connect() as connection:
            yield CoreRepository(connection)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Repository]:
        async with self._reading.connect() as connection:
            yield CoreRepository(connection)


class CoreRepository:
    """One explicit statement for each query or change."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim(self, claim: Claim) -> Claim | None:
        values = {
            "caller_id": claim.caller_id,
            "request_id": claim.request_id,
            "digest": claim.digest,
            "order_id": claim.order_id,
        }
        if (await self._connection.execute(_CLAIM, values)).first() is not None:
            return None
        key = {"caller_id": claim.caller_id, "request_id": claim.request_id}
        return Claim(*(await self._connection.execute(_EARLIER, key)).one())

    async def lock(self, skus: Collection[str]) -> Mapping[str, StockItem]:
        found = await self._connection.execute(_LOCK, {"skus": list(skus)})
        return {row.sku: StockItem(*row) for row in found}

    async def add(self, order: NewOrder, call: Call) -> None:
        try:
            await self._connection.execute(_ADD_ORDER, order_row(order))
        except IntegrityError as error:
            if "uq_orders_reference" in str(error.orig):
                raise ReferenceTaken from error
            raise
        await self._connection.execute(_ADD_LINES, line_rows(order))
        await self._connection.execute(_ADD_MOVEMENTS, movement_rows(order))
        held = {hold.product_id: hold.held_after for hold in order.holds}
        await self._connection.execute(_HOLD, [{"of": of, "now_held": pieces} for of, pieces in held.items()])
        await self._connection.execute(_ADD_AUDIT, audit_row(order, call))

    async def find(self, order_id: UUID) -> OrderOut | None:
        order = (await self._connection.execute(_ORDER, {"order_id": order_id})).mappings().first()
        if order is None:
            return None
        lines = await self._connection.execute(_LINES, {"order_id": order_id})
        return OrderOut(**order, lines=[OrderLineOut.model_validate(line) for line in lines])

    async def list_latest(
        self, customer_id: str | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[OrderSummary]:
        conditions: list[ColumnElement[bool]] = []
        if customer_id is not None:
            conditions.append(_orders.c.customer_id == customer_id)
        if before is not None:
            conditions.append(tuple_(_orders.c.create_time, _orders.c.id) < before)
        statement = select(_orders).where(*conditions)
        statement = statement.order_by(_orders.c.create_time.desc(), _orders.c.id.desc()).limit(limit)
        return [OrderSummary.model_validate(row) for row in await self._connection.execute(statement)]

    async def find_product(self, product_id: UUID) -> ProductOut | None:
        row = (await self._connection.execute(_PRODUCT, {"product_id": product_id})).first()
        return ProductOut.model_validate(row) if row else None

    async def find_product_by_sku(self, sku: str) -> ProductOut | None:
        row = (await self._connection.execute(_PRODUCT_BY_SKU, {"sku": sku})).first()
        return ProductOut.model_validate(row) if row else None

    async def commit(self) -> None:
        await self._connection.commit()
