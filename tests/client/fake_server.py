"""A small real server whose servicers do as the test says."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.rpc import status_pb2
from grpc_status import rpc_status

from backroom.commerce.v1 import catalog_service_pb2_grpc, order_service_pb2_grpc
from backroom.commerce.v1.catalog_service_pb2 import ImportProductsRequest, ImportProductsResponse
from backroom.commerce.v1.order_service_pb2 import (
    GetOrderRequest,
    GetOrderResponse,
    PlaceOrderRequest,
    PlaceOrderResponse,
    PlaceOrdersRequest,
    PlaceOrdersResponse,
)
from backroom.identity.v1 import access_service_pb2_grpc
from backroom.identity.v1.access_service_pb2 import ExchangeKeyRequest, ExchangeKeyResponse


class FakeServer:
    """Serves a few methods, records the requests, and refuses the next calls with the statuses in `refusals`."""

    def __init__(self) -> None:
        self.address = ""
        self.keys_exchanged = 0
        self.tokens_seen: list[str] = []
        self.orders_seen: list[PlaceOrderRequest] = []
        self.imports_seen: list[ImportProductsRequest] = []
        self.refusals: list[status_pb2.Status] = []
        self.before_token: Callable[[], Awaitable[None]] | None = None
        self.before_answer: Callable[[], Awaitable[None]] | None = None

    async def enter(self, context: Any) -> None:
        """Runs before every protected call."""
        metadata = dict(context.invocation_metadata())
        self.tokens_seen.append(metadata.get("authorization", ""))
        if self.before_answer is not None:
            await self.before_answer()
        if self.refusals:
            rich = rpc_status.to_status(self.refusals.pop(0))
            await context.abort(rich.code, rich.details, rich.trailing_metadata)


class Access(access_service_pb2_grpc.AccessServiceServicer):
    def __init__(self, server: FakeServer) -> None:
        self._server = server

    async def ExchangeKey(self, _request: ExchangeKeyRequest, _context: Any) -> ExchangeKeyResponse:  # noqa: N802
        if self._server.before_token is not None:
            await self._server.before_token()
        self._server.keys_exchanged += 1
        response = ExchangeKeyResponse(access_token=str(self._server.keys_exchanged))
        response.expire_time.FromDatetime(datetime.now(UTC) + timedelta(minutes=15))
        return response


class Orders(order_service_pb2_grpc.OrderServiceServicer):
    def __init__(self, server: FakeServer) -> None:
        self._server = server

    async def GetOrder(self, _request: GetOrderRequest, context: Any) -> GetOrderResponse:  # noqa: N802
        await self._server.enter(context)
        return GetOrderResponse()

    async def PlaceOrder(self, request: PlaceOrderRequest, context: Any) -> PlaceOrderResponse:  # noqa: N802
        self._server.orders_seen.append(request)
        await self._server.enter(context)
        return PlaceOrderResponse()

    async def PlaceOrders(  # noqa: N802
        self, requests: AsyncIterator[PlaceOrdersRequest], context: Any
    ) -> AsyncIterator[PlaceOrdersResponse]:
        await self._server.enter(context)
        async for request in requests:
            self._server.orders_seen.append(request.order)
            yield PlaceOrdersResponse(request_id=request.order.request_id)


class Catalog(catalog_service_pb2_grpc.CatalogServiceServicer):
    def __init__(self, server: FakeServer) -> None:
        self._server = server

    async def ImportProducts(  # noqa: N802
        self, requests: AsyncIterator[ImportProductsRequest], context: Any
    ) -> ImportProductsResponse:
        await self._server.enter(context)
        self._server.imports_seen.extend([request async for request in requests])
        return ImportProductsResponse(created_count=len(self._server.imports_seen))


@asynccontextmanager
async def fake_server(address: str = "127.0.0.1:0") -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    server = grpc.aio.server()
    access_service_pb2_grpc.add_AccessServiceServicer_to_server(Access(fake), server)  # type: ignore[abstract]
    order_service_pb2_grpc.add_OrderServiceServicer_to_server(Orders(fake), server)  # type: ignore[abstract]
    catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(Catalog(fake), server)  # type: ignore[abstract]
    fake.address = f"127.0.0.1:{server.add_insecure_port(address)}"
    await server.start()
    try:
        yield fake
    finally:
        await server.stop(None)
