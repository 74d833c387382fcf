"""Requests that cost a server more than they cost the sender: one row each, with the path and the body of a call.

A row takes less than 1 MB to send; the sender may repeat it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PLACE = "/backroom.commerce.v1.OrderService/PlaceOrder"
PLACE_MANY = "/backroom.commerce.v1.OrderService/PlaceOrders"
WATCH_STOCK = "/backroom.commerce.v1.InventoryService/WatchStock"
LOGIN = "/backroom.identity.v1.IdentityService/Login"
CHECK = "/grpc.health.v1.Health/Check"

_MONEY = b"\x1a\x07\x0a\x03GBP\x10\x01"


@dataclass(frozen=True, slots=True)
class Body:
    """The request, its sender, and how often a megabyte holds it."""

    path: str
    content: bytes
    token: bool = True
    """Whether it needs a customer's token."""

    @property
    def times(self) -> int:
        """At least one, and at most as many as a connection may have streams."""
        return max(1, min(1000, 1_000_000 // (len(self.content) + 100)))


def line(sku: bytes, rest: bytes = b"") -> bytes:
    """An order line for one piece."""
    content = b"\x0a" + bytes([len(sku)]) + sku + b"\x10\x01" + rest
    return b"\x22" + bytes([len(content)]) + content


def nested(content: bytes, depth: int) -> bytes:
    """An unknown field's group, nested this many levels."""
    return b"\xc3\x3e" * depth + content + b"\xc4\x3e" * depth


def unknown(size: int) -> bytes:
    """Unknown fields of this many bytes, three bytes each."""
    return b"\xa0\x3e\x00" * (size // 3)


BODIES: Mapping[str, Body] = {
    "500,000 empty lines": Body(PLACE, b"\x22\x00" * 490_000),
    "as many empty lines as are taken": Body(PLACE, b"\x22\x00" * 131_000),
    "2,000 empty lines": Body(PLACE, b"\x22\x00" * 2000),
    "100 empty lines": Body(PLACE, b"\x22\x00" * 100),
    "2,000 lines of what is not sold": Body(PLACE, line(b"no") * 2000),
    "2,000 lines with a price": Body(PLACE, line(b"no", _MONEY) * 2000),
    "2,000 lines, the last of them wrong": Body(PLACE, line(b"no", _MONEY) * 1999 + b"\x22\x00"),
    "2,000 lines with a NUL": Body(PLACE, line(b"\0") * 2000),
    "empty lines in a stream": Body(PLACE_MANY, b"\x0a\xd0\xff\x07" + b"\x22\x00" * 65_512),
    "unknown fields": Body(LOGIN, unknown(16_380), token=False),
    "unknown fields in an order": Body(PLACE, unknown(260_000)),
    "groups 99 levels deep": Body(LOGIN, nested(b"", 99) * 41, token=False),
    "groups 101 levels deep": Body(LOGIN, nested(b"", 101), token=False),
    "a name of 16 KiB": Body(CHECK, b"\x0a\xf4\x7f" + b"x" * 16_372, token=False),
    "a name of 900 kB": Body(CHECK, b"\x0a\xa0\xf7\x36" + b"x" * 900_000, token=False),
}
