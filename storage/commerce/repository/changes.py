import json
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, Row, Select, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.base import Records
from storage.commerce.records import Movement, Order, OrderAudience, OrderChange, OrderState, Price, StockReason
from storage.commerce.tables import orders, products, stock_movements
from storage.frame.records import ChangePage, LogRange
from storage.frame.tables import events
from storage.log import LogReader

_EVENT = ("sequence", "subject_id", "data")
_MOVEMENT = tuple(column.name for column in stock_movements.c if column.name != "transaction_id")

_ORDERS = Records(Order, state=OrderState, total=(Price, "total", "currency"), lines=(tuple,))
_MOVEMENTS = Records(Movement, reason=StockReason)


class OrderChangeReader(LogReader):
    """What happened to orders, as the log of events tells it."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection, events, events.c.type.like("order.%"))

    async def list_changes(self, log_range: LogRange, limit: int, audience: OrderAudience) -> ChangePage[OrderChange]:
        """What of the first `limit` changes of a stretch an audience is told."""

        def told(page: CTE) -> Select[Any]:
            mine = orders.c.id == page.c.subject_id
            return select(page, *orders.c).join_from(page, orders, mine).where(_concerns(audience))

        found, last = await self._read(log_range, limit, _EVENT, told)
        return ChangePage([_change(row, order) for row, order in zip(found, _ORDERS.all(found), strict=True)], last)


class StockChangeReader(LogReader):
    """What happened to the stock, as its ledger tells it."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection, stock_movements)

    async def list_changes(self, log_range: LogRange, limit: int, skus: Collection[str]) -> ChangePage[Movement]:
        """What of the first `limit` movements of a stretch moved these products, or any where none are given."""

        def told(page: CTE) -> Select[Any]:
            moved = select(page, products.c.sku).join_from(page, products, products.c.id == page.c.product_id)
            return moved.where(products.c.sku.in_(skus)) if skus else moved

        found, last = await self._read(log_range, limit, _MOVEMENT, told)
        return ChangePage(_MOVEMENTS.all(found), last)


def _concerns(audience: OrderAudience) -> ColumnElement[bool]:
    concerns: ColumnElement[bool] = true()
    if audience.customer_id is not None:
        concerns &= orders.c.customer_id == audience.customer_id
    if audience.account_id is not None:
        mine = str(audience.account_id)
        concerns &= or_(orders.c.customer_id == mine, orders.c.placed_by == audience.account_id)
    return concerns


def _change(row: Row[Any], order: Order) -> OrderChange:
    """The order as the event tells it; what no event changes is the order's own."""
    told = json.loads(row.data)
    state, update_time = OrderState(told["state"]), datetime.fromisoformat(told["update_time"])
    changed = replace(order, state=state, cancel_reason=told["cancel_reason"], update_time=update_time)
    return OrderChange(row.sequence, changed)
