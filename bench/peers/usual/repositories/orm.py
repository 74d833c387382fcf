from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import contains_eager, selectinload

from bench.peers.usual.errors import ReferenceTaken
from bench.peers.usual.models import AuditEntry, IdempotencyRecord, Order, OrderLine, Product, Stock, StockMovement
from bench.peers.usual.placing import Call, NewOrder, StockItem
from bench.peers.usual.repositories.port import Claim, Repository
from bench.peers.usual.repositories.rows import audit_row, line_rows, movement_rows, order_row
from bench.peers.usual.schemas import OrderOut, OrderSummary, ProductOut


class OrmStorage:
    def __init__(self, engine: AsyncEngine) -> None:
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)
        reading = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._reading = async_sessionmaker(reading, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Repository]:
        async with self._sessions() as session:
            yield OrmRepository(session)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Repository]:
        async with self._reading() as session:
            yield OrmRepository(session)


class OrmRepository:
    """Entities in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._locked: Mapping[UUID, Stock] = {}

    async def claim(self, claim: Claim) -> Claim | None:
        statement = upsert(IdempotencyRecord).values(
            caller_id=claim.caller_id, request_id=claim.request_id, digest=claim.digest, order_id=claim.order_id
        )
        claiming = statement.on_conflict_do_nothing().returning(IdempotencyRecord.request_id)
        if (await self._session.execute(claiming)).first() is not None:
            return None
        earlier = await self._session.get_one(IdempotencyRecord, (claim.caller_id, claim.request_id))
        return Claim(earlier.caller_id, earlier.request_id, earlier.digest, earlier.order_id)

    async def lock(self, skus: Collection[str]) -> Mapping[str, StockItem]:
        statement = select(Stock).join(Stock.product).options(contains_eager(Stock.product))
        statement = statement.where(Product.sku.in_(skus)).order_by(Stock.product_id).with_for_update(of=Stock)
        found = await self._session.scalars(statement)
        self._locked = {stock.product_id: stock for stock in found}
        return {stock.product.sku: _stock_item(stock) for stock in self._locked.values()}

    async def add(self, order: NewOrder, call: Call) -> None:
        self._session.add(_order(order))
        for hold in order.holds:
            self._locked[hold.product_id].held = hold.held_after
        self._session.add(AuditEntry(**audit_row(order, call)))
        try:
            await self._session.flush()
        except IntegrityError as error:
            if "uq_orders_reference" in str(error.orig):
                raise ReferenceTaken from error
            raise
        await self._session.execute(insert(StockMovement), movement_rows(order))

    async def find(self, order_id: UUID) -> OrderOut | None:
        lines = selectinload(Order.lines).joinedload(OrderLine.product, innerjoin=True)
        order = await self._session.get(Order, order_id, options=[lines])
        return OrderOut.model_validate(order) if order else None

    async def list_latest(
        self, customer_id: str | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[OrderSummary]:
        statement = select(Order).order_by(Order.create_time.desc(), Order.id.desc()).limit(limit)
        if customer_id is not None:
            statement = statement.where(Order.customer_id == customer_id)
        if before is not None:
            statement = statement.where(tuple_(Order.create_time, Order.id) < before)
        return [OrderSummary.model_validate(order) for order in await self._session.scalars(statement)]

    async def find_product(self, product_id: UUID) -> ProductOut | None:
        product = await self._session.get(Product, product_id)
        return ProductOut.model_validate(product) if product else None

    async def find_product_by_sku(self, sku: str) -> ProductOut | None:
        product = await self._session.scalar(select(Product).where(Product.sku == sku))
        return ProductOut.model_validate(product) if product else None

    async def commit(self) -> None:
        await self._session.commit()


def _stock_item(stock: Stock) -> StockItem:
    product = stock.product
    goods = (product.id, product.sku, product.price, product.currency, product.archived)
    return StockItem(*goods, stock.on_hand, stock.held)


def _order(order: NewOrder) -> Order:
    return Order(**order_row(order), lines=[OrderLine(**row) for row in line_rows(order)])
