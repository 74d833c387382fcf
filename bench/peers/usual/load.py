"""The calls of a bench on the usual stack: `load.order_requests` as JSON, as `load.shop` sends them in gRPC."""

import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from backroom.commerce.v1.products_pb2 import Product
from bench.peers.http1 import Connection, head, open_many
from bench.peers.usual.database import create_engine
from bench.peers.usual.expected_rows import ExpectedRows
from bench.peers.usual.issuing import TokenIssuer
from bench.peers.usual.models import Order
from bench.peers.usual.paging import token_after
from bench.peers.usual.stocking import Goods, stock
from load.loops import Call
from load.order_requests import Line, OrderRequest, OrderRequests, Unexpected
from load.shop import PAGE

_HOLD_SECONDS = 86_400
"""In seconds, as in `load.order_requests`."""
_NANO = Decimal("1e-9")
_PERMISSIONS = ("orders.place", "orders.place_for", "orders.read", "orders.read_all", "catalog.read")
_SECONDS = slice(len("2026-01-01T00:00:00"))
"""The fraction of a second in a time; a fraction of 0 is omitted."""


class UsualShop:
    """Products created and stocked for one bench, and one customer; a connection for each caller."""

    def __init__(
        self,
        engine: AsyncEngine,
        connections: Sequence[Connection],
        headers: bytes,
        order_requests: OrderRequests,
        goods: Sequence[Goods],
        expected_rows: ExpectedRows,
    ) -> None:
        """Use `open`."""
        self._engine = engine
        self._connections = connections
        self._headers = headers
        self._order_requests = order_requests
        self._goods = goods
        self._expected_rows = expected_rows
        self._placed: list[tuple[str, tuple[Line, ...]]] = []
        self._reads = itertools.count()

    @classmethod
    async def open(
        cls, address: str, url: str, issuer: TokenIssuer, *, products: int, pieces: int, callers: int
    ) -> "UsualShop":
        """On a server at host:port that uses the database of this URL, and accepts this issuer's tokens.

        Creates this many products with this many pieces each.
        """
        host, _, port = address.rpartition(":")
        account_id = uuid4()
        bearer = f"Bearer {issuer.token(account_id, _PERMISSIONS)}"
        headers = head(host, int(port), authorization=bearer, content_type="application/json")
        order_requests = OrderRequests(uuid4(), products)
        goods = [_goods(product) for product in order_requests.products()]
        engine = create_engine(url)
        await stock(engine, goods, pieces, received_by=uuid4())
        connections = await open_many(host, int(port), callers)
        return cls(
            engine, connections, headers, order_requests, goods, ExpectedRows(account_id, order_requests.skus, pieces)
        )

    async def place_hot(self, caller: int) -> None:
        """An order of one line, of the product that all callers order."""
        await self._place(caller, self._order_requests.hot())

    async def place_two(self, caller: int) -> None:
        """An order of two lines, of two of all the products."""
        await self._place(caller, self._order_requests.two())

    async def get_order(self, caller: int) -> None:
        """One of the orders placed so far; there must be one."""
        order_id, lines = self._placed[next(self._reads) % len(self._placed)]
        order = await self._get(caller, f"/orders/{order_id}")
        if order["id"] != order_id:
            raise Unexpected(f"order {order['id']}, requested {order_id}")
        self._expect(order, lines)

    async def get_product(self, caller: int) -> None:
        """One of all the products, by its SKU."""
        wanted = self._goods[next(self._reads) % len(self._goods)]
        product = await self._get(caller, f"/products/{wanted.sku}")
        if product["sku"] != wanted.sku or product["price"] != str(wanted.price):
            raise Unexpected(f"the product {product['sku']}, requested {wanted.sku}")

    async def list_orders(self, caller: int) -> None:
        """The first page of all orders, which must be full."""
        await self._list(caller, f"/orders?page_size={PAGE}")

    async def list_orders_on(self, page: int) -> Call:
        """The call for a later page, counted from 1: it must be full."""
        latest = select(Order.create_time, Order.id).order_by(Order.create_time.desc(), Order.id.desc())
        async with self._engine.connect() as connection:
            last_before = (await connection.execute(latest.offset((page - 1) * PAGE - 1).limit(1))).first()
        if last_before is None:
            raise Unexpected(f"there are too few orders for page {page:,}")
        path = f"/orders?page_size={PAGE}&page_token={token_after(*last_before)}"

        async def call(caller: int) -> None:
            await self._list(caller, path)

        return call

    async def check(self) -> None:
        """Raises TotalsMismatch if the database differs from what the answered calls add up to."""
        await self._expected_rows.check(self._engine)

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()
        await self._engine.dispose()

    async def _place(self, caller: int, planned: OrderRequest) -> None:
        lines = [{"sku": self._goods[place].sku, "quantity": pieces} for place, pieces in planned.lines]
        asked = {
            "request_id": planned.request_id,
            "customer_id": self._order_requests.customer,
            "hold_seconds": _HOLD_SECONDS,
        }
        body = orjson.dumps({**asked, "lines": lines})
        order = _parsed(201, *await self._connections[caller].call(b"POST", b"/orders", self._headers, body))
        self._expect(order, planned.lines)
        self._expected_rows.place(UUID(order["id"]), planned.lines)
        self._placed.append((order["id"], planned.lines))

    def _expect(self, order: Any, lines: Sequence[Line]) -> None:
        """Raises Unexpected unless an order has exactly these lines and their sum, and is pending."""
        found = [(line["sku"], line["quantity"]) for line in order["lines"]]
        wanted = [(self._goods[place].sku, pieces) for place, pieces in lines]
        if found != wanted or order["state"] != "pending":
            raise Unexpected(f"an order in the state {order['state']} of {found}, not a pending one of {wanted}")
        total = str(sum(self._goods[place].price * pieces for place, pieces in lines))
        if order["total"] != total:
            raise Unexpected(f"an order of {total} comes to {order['total']}")

    async def _list(self, caller: int, path: str) -> None:
        orders = (await self._get(caller, path))["orders"]
        times = [order["create_time"][_SECONDS] for order in orders]
        if len(orders) != PAGE or times != sorted(times, reverse=True):
            raise Unexpected(f"a page of {len(orders)} orders, or not the latest first")

    async def _get(self, caller: int, path: str) -> Any:
        return _parsed(200, *await self._connections[caller].call(b"GET", path.encode(), self._headers))


def _goods(product: Product) -> Goods:
    price = (product.price.units + product.price.nanos * _NANO).quantize(_NANO)
    return Goods(product.sku, product.name, price, product.price.currency_code)


def _parsed(expected: int, status: int, answer: bytes) -> Any:
    if status != expected:
        raise Unexpected(f"{status}: {answer.decode(errors='replace'):.200}")
    return orjson.loads(answer)
