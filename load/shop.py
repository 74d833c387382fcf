"""The operations of a bench on a Backroom server: its own products are ordered, read and listed; each response is
checked. It leaves its products and its orders behind.
"""

import asyncio
import itertools
import ssl
from collections.abc import Mapping
from typing import Self
from uuid import UUID, uuid4

from backroom.commerce.v1.catalog_service_pb2 import GetProductRequest, GetProductResponse
from backroom.commerce.v1.order_service_pb2 import (
    GetOrderRequest,
    GetOrderResponse,
    ListOrdersRequest,
    ListOrdersResponse,
    PlaceOrderResponse,
)
from backroom.commerce.v1.orders_pb2 import Order
from backroom_client.concurrently import concurrently
from load.calls import NotSent
from load.connections import Connections, Server
from load.cpu import Meter
from load.loops import NO_METERS, Call, closed_loop
from load.order_requests import Line, OrderRequest, OrderRequests, Unexpected
from load.order_stream import PLACE_ORDERS, OrderStream
from load.sample import Refused, Sample
from load.statuses import Failed
from load.stocking import CONCURRENCY, LIST_ORDERS, kept, stock_up, with_retries
from load.totals import Checked, ExpectedTotals

PLACE_ORDER = "/backroom.commerce.v1.OrderService/PlaceOrder"
GET_ORDER = "/backroom.commerce.v1.OrderService/GetOrder"
GET_PRODUCT = "/backroom.commerce.v1.CatalogService/GetProduct"

PAGE = 50
"""How many orders a page has."""

_MAX_PAGE = 1000
_FIRST_PAGE = ListOrdersRequest(page_size=PAGE).SerializeToString()
_MAX_READ = 10_000
"""How many orders are remembered, to be read again."""

_ANSWER_SECONDS = 30.0
"""In seconds: how long the last orders of a stream may take."""

_NOT_DONE = frozenset(
    {
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "FAILED_PRECONDITION",
        "RESOURCE_EXHAUSTED",
        "UNIMPLEMENTED",
    }
)
"""The codes after which an order was certainly not placed."""


class Shop:
    """Products created and stocked for one bench, and one customer.

    Its operations are calls for the loops: each uses its caller's connection, and checks the response.
    """

    def __init__(self, connections: Connections, order_requests: OrderRequests, totals: ExpectedTotals) -> None:
        """Use `open`."""
        self._connections = connections
        self._order_requests = order_requests
        self._totals = totals
        self._placed: list[tuple[str, tuple[Line, ...]]] = []
        self._reads = itertools.count()
        self._place_order = connections.method(PLACE_ORDER)
        self._get_order = connections.method(GET_ORDER)
        self._get_product = connections.method(GET_PRODUCT)
        self._list_orders = connections.method(LIST_ORDERS)

    @classmethod
    async def open(
        cls,
        address: str,
        key: str,
        *,
        products: int,
        stock: int,
        connections: int = 4,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        bench_id: UUID | None = None,
    ) -> Self:
        """Signs in with a service account's key, and creates this many products with this many pieces of each.

        `tls` must offer h2 by ALPN; without it the calls are plain text. `server_name` is the name in the certificate
        if it is not the host. `bench_id` must be new; by default a random one is made.
        Raises ConnectionError, Failed, Refused.
        """
        opened = Connections(Server(address, key, tls, server_name), connections)
        try:
            await opened.open()
            order_requests = OrderRequests(bench_id or uuid4(), products)
            await stock_up(opened, order_requests, stock)
        except BaseException:
            await opened.close()
            raise
        return cls(opened, order_requests, ExpectedTotals(order_requests.skus, stock))

    async def place_hot(self, caller: int) -> None:
        """An order of one line, of the product that all callers order."""
        await self._place(caller, self._order_requests.hot())

    async def place_two(self, caller: int) -> None:
        """An order of two lines, of two of all the products."""
        await self._place(caller, self._order_requests.two())

    async def get_order(self, caller: int) -> None:
        """One of the orders placed so far; there must be one."""
        if not self._placed:
            raise Unexpected("no order was placed that could be read")
        order_id, lines = self._placed[next(self._reads) % len(self._placed)]
        answer = await self._get_order(caller, GetOrderRequest(order_id=order_id).SerializeToString())
        order = GetOrderResponse.FromString(answer).order
        if order.order_id != order_id:
            raise Unexpected(f"order {order.order_id}, requested {order_id}")
        self._order_requests.expect(order, lines)

    async def get_product(self, caller: int) -> None:
        """One of all the products, by its SKU."""
        place = next(self._reads) % len(self._order_requests.skus)
        request = GetProductRequest(sku=self._order_requests.skus[place]).SerializeToString()
        answer = await self._get_product(caller, request)
        self._order_requests.expect_product(GetProductResponse.FromString(answer).product, place)

    async def list_orders(self, caller: int) -> None:
        """The first page of all orders that the account may see, which must be full."""
        await self._list(caller, _FIRST_PAGE)

    async def list_orders_on(self, page: int) -> Call:
        """The call for a later page, counted from 1: it must be full."""
        request = ListOrdersRequest(page_size=PAGE)
        before = (page - 1) * PAGE
        while before:
            request.page_size = _MAX_PAGE if before >= _MAX_PAGE else PAGE
            answer = ListOrdersResponse.FromString(await self._list_orders(0, request.SerializeToString()))
            if not answer.next_page_token:
                raise Unexpected(f"there are too few orders for page {page:,}")
            before -= request.page_size
            request.page_token = answer.next_page_token
        request.page_size = PAGE
        body = request.SerializeToString()

        async def call(caller: int) -> None:
            await self._list(caller, body)

        return call

    async def stream_orders(
        self,
        seconds: float,
        *,
        in_flight: int = 256,
        streams: int = 4,
        warm_up: float = 1.0,
        meters: Mapping[str, Meter] = NO_METERS,
    ) -> Sample:
        """Orders of the hot product over this many streams, with this many unanswered at any time, in a closed loop.

        Raises the error of a stream if no caller got it, and TimeoutError if the last responses do not arrive.
        """
        opened = [OrderStream(await self._connections.stream(number, PLACE_ORDERS)) for number in range(streams)]

        async def place(caller: int) -> None:
            await self._place_streamed(opened[caller % streams], self._order_requests.hot())

        try:
            async with asyncio.timeout(warm_up + seconds + _ANSWER_SECONDS):
                sample = await closed_loop(place, callers=in_flight, seconds=seconds, warm_up=warm_up, meters=meters)
                for stream in opened:
                    await stream.close()
        finally:
            for stream in opened:
                await stream.abandon()
        return sample

    async def fill(self, orders: int) -> None:
        """Places this many orders, for the operations that read."""
        place = self.place_two if len(self._order_requests.skus) > 1 else self.place_hot
        await concurrently(lambda caller: with_retries(lambda: place(caller)), range(orders), at_once=CONCURRENCY)

    async def check(self) -> Checked:
        """Raises Mismatch unless the server has exactly what the answered calls add up to.

        An unanswered order may have been placed or not; returns how many were. No call may be under way.
        """
        return self._totals.check(await kept(self._connections, self._order_requests))

    async def close(self) -> None:
        await self._connections.close()

    async def _place(self, caller: int, planned: OrderRequest) -> None:
        try:
            answer = await self._place_order(caller, planned.request)
            self._take(PlaceOrderResponse.FromString(answer).order, planned)
        except BaseException as error:
            self._record(error, planned)
            raise

    async def _place_streamed(self, stream: OrderStream, planned: OrderRequest) -> None:
        try:
            self._take(await stream.place(planned), planned)
        except BaseException as error:
            self._record(error, planned)
            raise

    def _take(self, order: Order, planned: OrderRequest) -> None:
        self._order_requests.expect(order, planned.lines)
        self._totals.place(planned.lines)
        if len(self._placed) < _MAX_READ:
            self._placed.append((order.order_id, planned.lines))

    def _record(self, error: BaseException, planned: OrderRequest) -> None:
        """The error may have come after the order was placed."""
        answered = isinstance(error, Failed | Refused) and error.code in _NOT_DONE
        if not answered and not isinstance(error, NotSent):
            self._totals.add_unanswered(planned.lines)

    async def _list(self, caller: int, request: bytes) -> None:
        orders = ListOrdersResponse.FromString(await self._list_orders(caller, request)).orders
        times = [(order.create_time.seconds, order.create_time.nanos) for order in orders]
        if len(orders) != PAGE or times != sorted(times, reverse=True):
            raise Unexpected(f"a page of {len(orders)} orders, or not the latest first")
