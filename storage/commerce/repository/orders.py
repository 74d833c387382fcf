from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from storage.base import Repository, columns_of, given
from storage.commerce.records import Order, OrderFilter, OrderLine, OrderState, Price
from storage.commerce.tables import order_lines, orders, products

_ORDER = tuple(column.name for column in orders.columns)
_LINE = tuple(column.name for column in order_lines.columns)
_REFERENCE = ("placed_by", "reference")


class OrderRepository(Repository):
    """Orders and their lines."""

    async def find_references(self, keys: Collection[tuple[UUID, str]]) -> Mapping[tuple[UUID, str], UUID]:
        """Which of these (placed_by, reference) are taken, and by which order."""
        if not keys:
            return {}
        rows = given(orders, *_REFERENCE)
        mine = (orders.c.placed_by == rows.c.placed_by) & (orders.c.reference == rows.c.reference)
        statement = select(orders.c.placed_by, orders.c.reference, orders.c.id).where(mine)
        found = await self._connection.execute(statement, columns_of(_REFERENCE, keys))
        return {(row.placed_by, row.reference): row.id for row in found}

    async def add(self, new: Sequence[Order]) -> None:
        """Adds orders with their lines, all in two statements.

        Raises AlreadyExists where a reference was taken since `find_references`.
        """
        if not new:
            return
        ordered = sorted(new, key=lambda order: (order.placed_by, order.reference or ""))
        heads = insert(orders).from_select(list(_ORDER), select(given(orders, *_ORDER)))
        await self._connection.execute(heads, columns_of(_ORDER, map(_values, ordered)))
        lines = insert(order_lines).from_select(list(_LINE), select(given(order_lines, *_LINE)))
        await self._connection.execute(lines, columns_of(_LINE, _line_values(ordered)))

    async def find(self, order_id: UUID) -> Order | None:
        """The order with its lines."""
        found = await self.find_many([order_id])
        return found.get(order_id)

    async def find_many(self, order_ids: Collection[UUID]) -> Mapping[UUID, Order]:
        """The orders that exist of these, with their lines, in two statements."""
        statement = select(orders).where(orders.c.id.in_(order_ids))
        rows = (await self._connection.execute(statement)).all()
        lines = await self._lines([row.id for row in rows])
        return {row.id: _order(row, tuple(lines[row.id])) for row in rows}

    async def lock(self, order_id: UUID) -> Order | None:
        """The order with its lines, locked until the transaction ends."""
        statement = select(orders).where(orders.c.id == order_id).with_for_update(key_share=True)
        row = (await self._connection.execute(statement)).first()
        return _order(row, tuple((await self._lines([row.id]))[row.id])) if row else None

    async def change(self, order: Order) -> None:
        """Stores an order's new state, of an order that was locked in this transaction."""
        values = {"state": order.state, "cancel_reason": order.cancel_reason, "update_time": order.update_time}
        await self._connection.execute(update(orders).where(orders.c.id == order.id).values(values))

    async def list_latest(
        self, wanted: OrderFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Order]:
        """Orders without their lines from the latest on, starting below a key of (create_time, id)."""
        statement = select(orders).where(*_conditions(wanted))
        if before is not None:
            statement = statement.where(tuple_(orders.c.create_time, orders.c.id) < before)
        statement = statement.order_by(orders.c.create_time.desc(), orders.c.id.desc()).limit(limit)
        return [_order(row, ()) for row in await self._connection.execute(statement)]

    async def _lines(self, order_ids: Collection[UUID]) -> Mapping[UUID, list[OrderLine]]:
        columns = (order_lines.c.order_id, products.c.id, products.c.sku)
        statement = select(*columns, order_lines.c.quantity, order_lines.c.unit_price).join_from(order_lines, products)
        statement = statement.where(order_lines.c.order_id.in_(order_ids))
        lines: dict[UUID, list[OrderLine]] = {order_id: [] for order_id in order_ids}
        ordered = statement.order_by(order_lines.c.order_id, order_lines.c.position)
        for order_id, *line in await self._connection.execute(ordered):
            lines[order_id].append(OrderLine(*line))
        return lines


def _conditions(wanted: OrderFilter) -> Iterator[Any]:
    if wanted.state is not None:
        yield orders.c.state == wanted.state
    if wanted.customer_id is not None:
        yield orders.c.customer_id == wanted.customer_id
    if wanted.start_time is not None:
        yield orders.c.create_time >= wanted.start_time
    if wanted.end_time is not None:
        yield orders.c.create_time < wanted.end_time


def _values(order: Order) -> list[Any]:
    """In the order of _ORDER."""
    who = [order.id, order.reference, order.customer_id, order.placed_by, order.state]
    total = [order.line_count, order.unit_count, order.total.amount, order.total.currency]
    return [*who, *total, order.cancel_reason, order.create_time, order.update_time]


def _line_values(new: Sequence[Order]) -> Iterator[tuple[Any, ...]]:
    """In the order of _LINE."""
    for order in new:
        for position, line in enumerate(order.lines):
            yield (order.id, position, line.product_id, line.quantity, line.unit_price)


def _order(row: Row[Any], lines: tuple[OrderLine, ...]) -> Order:
    who = (row.id, row.reference, row.customer_id, row.placed_by, OrderState(row.state))
    total = (row.line_count, row.unit_count, Price(row.total, row.currency))
    return Order(*who, lines, *total, row.cancel_reason, row.create_time, row.update_time)
