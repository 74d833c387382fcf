from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status

from bench.peers.usual.dependencies import OrderReader, Orders, PlacingCall, PlacingOrders
from bench.peers.usual.paging import key_of, token_after
from bench.peers.usual.schemas import OrderIn, OrderOut, OrderPage

router = APIRouter(prefix="/orders", tags=["orders"])


@router.post("", status_code=status.HTTP_201_CREATED)
async def place_order(asked: OrderIn, call: PlacingCall, orders: PlacingOrders) -> OrderOut:
    return await orders.place(asked, call)


@router.get("/{order_id}")
async def get_order(order_id: UUID, caller: OrderReader, orders: Orders) -> OrderOut:
    return await orders.get(caller, order_id)


@router.get("")
async def list_orders(
    caller: OrderReader,
    orders: Orders,
    page_size: Annotated[int, Query(ge=1, le=1000)] = 50,
    page_token: Annotated[str, Query(max_length=1024)] = "",
) -> OrderPage:
    found = await orders.list_latest(caller, key_of(page_token), page_size + 1)
    page = found[:page_size]
    more = len(found) > page_size
    return OrderPage(orders=page, next_page_token=token_after(page[-1].create_time, page[-1].id) if more else "")
