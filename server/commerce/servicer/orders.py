import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from uuid import UUID

from backroom.commerce.v1 import order_service_pb2 as pb
from backroom.commerce.v1 import order_service_pb2_grpc
from server.commerce import messages
from server.commerce.rules.orders import PlaceOrder, ReadOrder
from server.commerce.service import Orders, Watching
from server.frame.batching import Batcher
from server.frame.call import Call
from server.frame.caller import Caller
from server.frame.errors import Refusal
from server.frame.paging import page_of
from server.frame.resuming import watch_of
from server.frame.statuses import status_of
from server.frame.streaming import answered_in_order
from server.frame.wire import optional_name
from storage.commerce.records import Order
from storage.frame.records import ChangeContext

IN_FLIGHT = 256
"""How many orders of one stream may wait for their answers: past that, the stream is not read on."""


class OrderServicer(order_service_pb2_grpc.OrderServiceServicer):
    def __init__(
        self,
        orders: Orders,
        placing: Batcher[PlaceOrder, Order],
        reading: Batcher[ReadOrder, Order],
        watching: Watching,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._orders = orders
        self._placing = placing
        self._reading = reading
        self._watching = watching
        self._now = now
        self._new_id = new_id

    async def PlaceOrder(self, request: pb.PlaceOrderRequest, call: Call) -> pb.PlaceOrderResponse:
        order = await self._place(request, call.caller, call.change_context(request))
        return pb.PlaceOrderResponse(order=messages.order(order))

    async def PlaceOrders(
        self, request_iterator: AsyncIterator[pb.PlaceOrdersRequest], call: Call
    ) -> AsyncIterator[pb.PlaceOrdersResponse]:
        caller = call.caller

        def place(request: pb.PlaceOrdersRequest) -> "asyncio.Future[Order]":
            # A stream may last for hours: each order came when it came.
            return self._place(request.order, caller, call.change_context(request.order, time=self._now()))

        async for response in answered_in_order(request_iterator, place, _placed, at_once=IN_FLIGHT):
            yield response

    async def GetOrder(self, request: pb.GetOrderRequest, call: Call) -> pb.GetOrderResponse:
        order = await self._reading.submit(ReadOrder(call.caller, UUID(request.order_id)))
        return pb.GetOrderResponse(order=messages.order(order))

    async def ListOrders(self, request: pb.ListOrdersRequest, call: Call) -> pb.ListOrdersResponse:
        page = page_of(request)
        found = await self._orders.list_latest(
            call.caller,
            messages.order_filter(request),
            before=page.after,
            limit=page.limit,
        )
        orders, next_page_token = page.of(found, messages.order)
        return pb.ListOrdersResponse(orders=orders, next_page_token=next_page_token)

    async def CancelOrder(self, request: pb.CancelOrderRequest, call: Call) -> pb.CancelOrderResponse:
        context = call.change_context(request)
        order = await self._orders.cancel(call.caller, UUID(request.order_id), request.reason, context)
        return pb.CancelOrderResponse(order=messages.order(order))

    async def FulfillOrder(self, request: pb.FulfillOrderRequest, call: Call) -> pb.FulfillOrderResponse:
        order = await self._orders.fulfill(call.caller, UUID(request.order_id), call.change_context(request))
        return pb.FulfillOrderResponse(order=messages.order(order))

    async def WatchOrders(self, request: pb.WatchOrdersRequest, call: Call) -> AsyncIterator[pb.WatchOrdersResponse]:
        watch = watch_of(request, call.time)
        customer_id = optional_name(request.customer_id, "customer_id")
        changes = self._watching.watch_orders(call.caller, customer_id, watch.position)
        async for message in changes:
            order = messages.order(message.change.order) if message.change else None
            yield pb.WatchOrdersResponse(resume_token=watch.token(message.position), order=order)

    def _place(self, request: pb.PlaceOrderRequest, caller: Caller, context: ChangeContext) -> "asyncio.Future[Order]":
        return self._placing.put(messages.place_order(request, caller, context, self._new_id()))


def _placed(request: pb.PlaceOrdersRequest, placed: "asyncio.Future[Order]") -> pb.PlaceOrdersResponse:
    request_id = request.order.request_id
    try:
        order = placed.result()
    except Refusal as refusal:
        return pb.PlaceOrdersResponse(request_id=request_id, refusal=status_of(refusal))
    return pb.PlaceOrdersResponse(request_id=request_id, order=messages.order(order))
