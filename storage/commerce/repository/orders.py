from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Select, bindparam, cast, func, literal, select, true, tuple_

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
from storage.commerce.records import Order, OrderFilter, OrderLine, OrderState, Price, Unpaid
from storage.commerce.tables import order_lines, orders, products

_ORDER = column_names(orders)
_LINE = column_names(order_lines)
_REFERENCE = ("placed_by", "reference")
_CHANGEABLE = ("id", "state", "cancel_reason", "update_time")

_ORDERS = Records(Order, state=OrderState, total=(Price, "total", "currency"), lines=(tuple,))
_ORDER_LINES = Records(OrderLine)
_UNPAID_OF_ONE = Records(Unpaid)
_NEW = values_getter(_ORDER, total="total.amount", currency="total.currency")
_CHANGED = values_getter(_CHANGEABLE)

_TAKEN = json_rows(orders, *_REFERENCE)
_FIND_REFERENCES = select(orders.c.placed_by, orders.c.reference, orders.c.id).where(
    orders.c.placed_by == _TAKEN.c.placed_by, orders.c.reference == _TAKEN.c.reference
)
_ADD = insert_json(order_lines, *_LINE, name="lines").add_cte(insert_json(orders, *_ORDER, name="heads").cte("placed"))
_CHANGE = update_json(orders, *_CHANGEABLE)
_IDS = select(json_rows(orders, "id").c.id)
_FIND = select(orders).where(orders.c.id.in_(_IDS))
_LOCK = _FIND.order_by(orders.c.id).with_for_update(key_share=True)
# Written out, since an index holds the pending ones alone: a plan for any state could not use it.
_PENDING = orders.c.state == literal(OrderState.PENDING.value, literal_execute=True)
_LOCK_PENDING = (
    select(orders).where(_PENDING).order_by(orders.c.hold_end_time).with_for_update(key_share=True, skip_locked=True)
)
_CUSTOMERS = json_rows(orders, "customer_id")
_OPEN = orders.c.state == OrderState.PENDING.value
_GIVEN_UP = orders.c.state.in_([OrderState.CANCELLED.value, OrderState.EXPIRED.value])
# Each customer's by itself and by time, for which there is an index: joined, the planner goes through all orders.
_UNPAID = (
    select(
        func.count().filter(_OPEN).label("orders"),
        cast(func.coalesce(func.sum(orders.c.unit_count).filter(_OPEN), 0), BigInteger).label("pieces"),
        func.count().filter(_GIVEN_UP).label("given_up"),
    )
    .where(orders.c.customer_id == _CUSTOMERS.c.customer_id, orders.c.create_time >= bindparam("since"))
    .lateral("unpaid")
)
_COUNT_UNPAID = select(_CUSTOMERS.c.customer_id, _UNPAID.c.orders, _UNPAID.c.pieces, _UNPAID.c.given_up).join_from(
    _CUSTOMERS, _UNPAID, true()
)
_LINES = (
    select(
        order_lines.c.order_id,
        order_lines.c.product_id,
        products.c.sku,
        order_lines.c.quantity,
        order_lines.c.unit_price,
    )
    .join_from(order_lines, products)
    .where(order_lines.c.order_id.in_(_IDS))
    .order_by(order_lines.c.order_id, order_lines.c.position)
)


class OrderReader(Reader):
    """Orders and their lines, as they stand."""

    async def find_references(self, keys: Collection[tuple[UUID, str]]) -> Mapping[tuple[UUID, str], UUID]:
        """Which of these (placed_by, reference) are taken, and by which order."""
        if not keys:
            return {}
        found = await self._connection.execute(_FIND_REFERENCES, json_parameter(_REFERENCE, keys))
        return {(row.placed_by, row.reference): row.id for row in found}

    async def count_unpaid(self, customer_ids: Collection[str], since: datetime) -> Mapping[str, Unpaid]:
        """What of these customers' orders, placed since then, is not paid.

        It goes through all that they have placed since: so few, since what is given up is bounded as well.
        """
        if not customer_ids:
            return {}
        values = json_parameter(("customer_id",), ((each,) for each in customer_ids))
        found = (await self._connection.execute(_COUNT_UNPAID, {**values, "since": since})).all()
        return {row.customer_id: unpaid for row, unpaid in zip(found, _UNPAID_OF_ONE.all(found), strict=True)}

    async def find(self, order_id: UUID) -> Order | None:
        """The order with its lines."""
        found = await self.find_many([order_id])
        return found.get(order_id)

    async def find_many(self, order_ids: Collection[UUID]) -> Mapping[UUID, Order]:
        """The orders that exist of these, with their lines, in two statements."""
        return await self._with_lines(_FIND, _ids(order_ids))

    async def list_latest(
        self, wanted: OrderFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Order]:
        """Orders without their lines from the latest on, starting below a key of (create_time, id)."""
        if before is not None and wanted.end_time is not None and before[0] < wanted.end_time:
            wanted = replace(wanted, end_time=None)  # it says no more than `before`, and the scan would begin there
        statement = select(orders).where(*_conditions(wanted))
        if before is not None:
            statement = statement.where(tuple_(orders.c.create_time, orders.c.id) < before)
        statement = statement.order_by(orders.c.create_time.desc(), orders.c.id.desc()).limit(limit)
        return _ORDERS.all(await self._connection.execute(statement))

    async def _with_lines(
        self, statement: Select[Any], values: Mapping[str, str] | None = None
    ) -> Mapping[UUID, Order]:
        rows = (await self._connection.execute(statement, values)).all()
        if not rows:
            return {}
        lines: dict[UUID, list[OrderLine]] = {row.id: [] for row in rows}
        found = (await self._connection.execute(_LINES, _ids(lines))).all()
        for row, line in zip(found, _ORDER_LINES.all(found), strict=True):
            lines[row.order_id].append(line)
        return {each.id: each for each in _ORDERS.all(rows, lines=lambda row: tuple(lines[row.id]))}


class OrderRepository(OrderReader, Repository):
    """Orders and their lines."""

    async def add(self, new: Sequence[Order]) -> None:
        """Adds orders with their lines, all in one statement.

        Raises AlreadyExists where a reference was taken since `find_references`.
        """
        if not new:
            return
        ordered = sorted(new, key=lambda order: (order.placed_by, order.reference or ""))
        heads = json_parameter(_ORDER, map(_NEW, ordered), name="heads")
        await self._connection.execute(_ADD, heads | json_parameter(_LINE, _line_values(ordered), name="lines"))

    async def lock(self, order_id: UUID) -> Order | None:
        """The order with its lines, locked until the transaction ends."""
        return (await self.lock_many([order_id])).get(order_id)

    async def lock_many(self, order_ids: Collection[UUID]) -> Mapping[UUID, Order]:
        """The orders that exist of these, with their lines, locked in key order until the transaction ends.

        Whoever changes an order, its payments or its refunds locks it first, so that they need no locks of their own.
        """
        return await self._with_lines(_LOCK, _ids(order_ids))

    async def lock_due(self, now: datetime, limit: int) -> Mapping[UUID, Order]:
        """Pending orders whose hold has ended, with their lines, locked; not those that others have locked."""
        statement = _LOCK_PENDING.where(orders.c.hold_end_time <= now).limit(limit)
        return await self._with_lines(statement)

    async def change(self, changed: Sequence[Order]) -> None:
        """Stores the new states of orders that were locked in this transaction."""
        if not changed:
            return
        await self._connection.execute(_CHANGE, json_parameter(_CHANGEABLE, map(_CHANGED, changed)))


def _ids(order_ids: Collection[UUID]) -> dict[str, str]:
    return json_parameter(("id",), ((order_id,) for order_id in order_ids))


def _conditions(wanted: OrderFilter) -> Iterator[Any]:
    if wanted.state is not None:
        yield orders.c.state == wanted.state
    if wanted.customer_id is not None:
        yield orders.c.customer_id == wanted.customer_id
    if wanted.start_time is not None:
        yield orders.c.create_time >= wanted.start_time
    if wanted.end_time is not None:
        yield orders.c.create_time < wanted.end_time


def _line_values(new: Sequence[Order]) -> Iterator[tuple[Any, ...]]:
    """In the order of _LINE."""
    for order in new:
        for position, line in enumerate(order.lines):
            yield (order.id, position, line.product_id, line.quantity, line.unit_price)
