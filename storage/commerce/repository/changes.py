import json
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, Row, Select, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.commerce.records import Movement, Order, OrderAudience, OrderChange, OrderState, Price, StockReason
from storage.commerce.tables import orders, products, stock_movements
from storage.frame.records import ChangePage, Stretch
from storage.frame.tables import events
from storage.log import LogReader

_EVENT = ("sequence", "subject_id", "data")
_MOVEMENT = tuple(column.name for column in stock_movements.c if column.name != "transaction_id")


class OrderChangeReader(LogReader):
    """What happened to orders, as the log of events tells it."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection, events, events.c.type.like("order.%"))

    async def list_changes(self, stretch: Stretch, limit: int, audience: OrderAudience) -> ChangePage[OrderChange]:
        """What of the first `limit` changes of a stretch an audience is told."""
        heads = [column.label(f"order_{column.name}") for column in orders.c]

        def told(page: CTE) -> Select[Any]:
            mine = orders.c.id == page.c.subject_id
            return select(page, *heads).join_from(page, orders, mine).where(_concerns(audience))

        found, last = await self._read(stretch, limit, _EVENT, told)
        return ChangePage([_change(row) for row in found], last)


class StockChangeReader(LogReader):
    """What happened to the stock, as its ledger tells it."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection, stock_movements)

    async def list_changes(self, stretch: Stretch, limit: int, skus: Collection[str]) -> ChangePage[Movement]:
        """What of the first `limit` movements of a stretch moved these products, or any where none are given."""

        def told(page: CTE) -> Select[Any]:
            moved = select(page, products.c.sku).join_from(page, products, products.c.id == page.c.product_id)
            return moved.where(products.c.sku.in_(skus)) if skus else moved

        found, last = await self._read(stretch, limit, _MOVEMENT, told)
        return ChangePage([_movement(row) for row in found], last)


def _concerns(audience: OrderAudience) -> ColumnElement[bool]:
    concerns: ColumnElement[bool] = true()
    if audience.customer_id is not None:
        concerns &= orders.c.customer_id == audience.customer_id
    if audience.account_id is not None:
        mine = str(audience.account_id)
        concerns &= or_(orders.c.customer_id == mine, orders.c.placed_by == audience.account_id)
    return concerns


def _change(row: Row[Any]) -> OrderChange:
    """The order as the event tells it; what no event changes is taken from the order itself."""
    told = json.loads(row.data)
    order = Order(
        id=row.order_id,
        reference=row.order_reference,
        customer_id=row.order_customer_id,
        placed_by=row.order_placed_by,
        state=OrderState(told["state"]),
        lines=(),
        line_count=row.order_line_count,
        unit_count=row.order_unit_count,
        total=Price(row.order_total, row.order_currency),
        cancel_reason=told["cancel_reason"],
        create_time=row.order_create_time,
        update_time=datetime.fromisoformat(told["update_time"]),
        hold_end_time=row.order_hold_end_time,
    )
    return OrderChange(row.sequence, order)


def _movement(row: Row[Any]) -> Movement:
    return Movement(
        sequence=row.sequence,
        sku=row.sku,
        reason=StockReason(row.reason),
        on_hand_delta=row.on_hand_delta,
        held_delta=row.held_delta,
        on_hand_after=row.on_hand_after,
        held_after=row.held_after,
        order_id=row.order_id,
        note=row.note,
        account_id=row.account_id,
        create_time=row.create_time,
    )
