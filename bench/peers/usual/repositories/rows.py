"""The rows of an order, by column name."""

from dataclasses import fields
from typing import Any

from bench.peers.usual.models import HELD
from bench.peers.usual.placing import Call, NewOrder

PLACE_ORDER = "POST /orders"
"""Its name in the record of changes."""

_HEAD = tuple(field.name for field in fields(NewOrder) if field.name not in ("lines", "holds"))

Row = dict[str, Any]


def order_row(order: NewOrder) -> Row:
    return {name: getattr(order, name) for name in _HEAD}


def line_rows(order: NewOrder) -> list[Row]:
    return [
        {
            "order_id": order.id,
            "position": position,
            "product_id": line.product_id,
            "quantity": line.quantity,
            "unit_price": line.unit_price,
        }
        for position, line in enumerate(order.lines)
    ]


def movement_rows(order: NewOrder) -> list[Row]:
    return [
        {
            "product_id": hold.product_id,
            "reason": HELD,
            "on_hand_delta": 0,
            "held_delta": hold.quantity,
            "on_hand_after": hold.on_hand_after,
            "held_after": hold.held_after,
            "order_id": order.id,
            "note": "",
            "account_id": order.placed_by,
            "create_time": order.create_time,
        }
        for hold in order.holds
    ]


def audit_row(order: NewOrder, call: Call) -> Row:
    return {
        "create_time": call.time,
        "caller_id": call.caller.account_id,
        "action": PLACE_ORDER,
        "resource": f"order/{order.id}",
        "address": call.address,
        "call_id": str(call.id),
        "result": "OK",
    }
