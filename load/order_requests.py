"""What a bench sells and orders: requests in bytes, assembled from parts that were serialized once."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.type.money_pb2 import Money

from backroom.commerce.v1.order_service_pb2 import LineItem, PlaceOrderRequest
from backroom.commerce.v1.orders_pb2 import Order, OrderState
from backroom.commerce.v1.products_pb2 import Product

CURRENCY = "GBP"
MAX_PIECES = 3
"""Of a product in one line."""

_HOLD_SECONDS = 86_400
"""In seconds: longer than a bench, so that nothing expires meanwhile."""

_NANOS_A_PENNY = 10**7
_ID_BEGINS = PlaceOrderRequest(request_id="0" * 36).SerializeToString()[:-36]
_GOLDEN, _OTHER, _MASK = 0x9E3779B1, 0xC2B2AE3D, 0xFFFFFFFF

Line: TypeAlias = tuple[int, int]
"""A product, by its index, and how many pieces of it."""


class Unexpected(Exception):
    """A response does not match its request."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order to place."""

    request_id: str
    lines: tuple[Line, ...]
    request: bytes
    """A PlaceOrderRequest."""


class OrderRequests:
    """Orders of one customer for products under SKUs of their own; each order has a new request_id."""

    def __init__(self, bench_id: UUID, products: int) -> None:
        """`bench_id` is random: the SKUs, the customer and the request_ids are derived from it."""
        self.customer = f"bench-{bench_id.hex[:12]}"
        self.skus = [f"{self.customer}-{place:05}" for place in range(products)]
        self._pennies = [100 + place * 7 % 9_900 for place in range(products)]
        rest = PlaceOrderRequest(customer_id=self.customer, hold_duration=Duration(seconds=_HOLD_SECONDS))
        # Concatenating a message's serialized parts gives the message.
        self._rest = rest.SerializeToString()
        self._lines = [[_line(sku, pieces) for pieces in range(MAX_PIECES + 1)] for sku in self.skus]
        self._ids = str(bench_id)[:24]
        self._numbers = itertools.count()

    def products(self) -> Iterator[Product]:
        for sku, pennies in zip(self.skus, self._pennies, strict=True):
            yield Product(sku=sku, name=f"Bench product {sku}", price=_money(pennies))

    def hot(self) -> OrderRequest:
        """One line of the first product."""
        number = next(self._numbers)
        return self._request(number, ((0, 1 + number % MAX_PIECES),))

    def two(self) -> OrderRequest:
        """Two lines of two products, spread evenly over all; there must be at least two."""
        number = next(self._numbers)
        products = len(self.skus)
        # The fractional parts of an irrational number's multiples are evenly distributed, however many they are (Weyl).
        first = (number * _GOLDEN & _MASK) * products >> 32
        distance = 1 + ((number * _OTHER & _MASK) * (products - 1) >> 32)
        pieces = 1 + number % MAX_PIECES
        return self._request(number, ((first, pieces), ((first + distance) % products, MAX_PIECES + 1 - pieces)))

    def expect(self, order: Order, lines: Sequence[Line]) -> None:
        """Raises Unexpected unless an order has exactly these lines and their total, and is pending."""
        found = [(line.sku, line.quantity) for line in order.lines]
        wanted = [(self.skus[place], pieces) for place, pieces in lines]
        if found != wanted or order.state != OrderState.ORDER_STATE_PENDING:
            raise Unexpected(f"an order in the state {order.state} of {found}, not a pending one of {wanted}")
        pennies = sum(self._pennies[place] * pieces for place, pieces in lines)
        if not _comes_to(order.total, pennies):
            raise Unexpected(f"an order of {pennies} pennies comes to {order.total}")

    def expect_product(self, product: Product, place: int) -> None:
        """Raises Unexpected unless it is the product with this number."""
        if product.sku != self.skus[place] or not _comes_to(product.price, self._pennies[place]):
            raise Unexpected(f"the product {product.sku}, requested {self.skus[place]}")

    def _request(self, number: int, lines: tuple[Line, ...]) -> OrderRequest:
        request_id = f"{self._ids}{number:012x}"
        parts = [_ID_BEGINS, request_id.encode(), *[self._lines[place][pieces] for place, pieces in lines], self._rest]
        return OrderRequest(request_id, lines, b"".join(parts))


def _line(sku: str, pieces: int) -> bytes:
    return PlaceOrderRequest(lines=[LineItem(sku=sku, quantity=pieces)]).SerializeToString()


def _comes_to(money: Money, pennies: int) -> bool:
    return money.units * 100 + money.nanos / _NANOS_A_PENNY == pennies and money.currency_code == CURRENCY


def _money(pennies: int) -> Money:
    return Money(units=pennies // 100, nanos=pennies % 100 * _NANOS_A_PENNY, currency_code=CURRENCY)
