"""Pages of ListOrders, the first and the deepest of a list."""

from dataclasses import dataclass

from backroom.commerce.v1.order_service_pb2 import ListOrdersRequest, ListOrdersResponse
from load.connections import Unary

PAGE = 50
"""How many orders a page has."""
DEEP = 1_000
"""Which page is a deep one."""


class WrongPage(Exception):
    """A page was not as expected."""


@dataclass(frozen=True, slots=True)
class Page:
    """A full page, and how to request it again."""

    number: int
    """Counted from 1."""
    request: bytes
    first: str
    """The id of the first order on it."""

    async def read(self, list_orders: Unary, caller: int) -> None:
        """Requests it, and raises WrongPage if it has changed."""
        orders = ListOrdersResponse.FromString(await list_orders(caller, self.request)).orders
        if len(orders) != PAGE or orders[0].order_id != self.first:
            raise WrongPage(f"page {self.number} has {len(orders)} orders, or begins with another one than before")


async def first_and_deep(list_orders: Unary, wanted: ListOrdersRequest) -> tuple[Page, Page]:
    """The first page and the 1,000th, or the last full one of a shorter list, which is reached page by page.

    Raises WrongPage if not even the first is full.
    """
    first = deep = None
    request = ListOrdersRequest(page_size=PAGE)
    request.MergeFrom(wanted)
    for number in range(1, DEEP + 1):
        body = request.SerializeToString()
        answer = ListOrdersResponse.FromString(await list_orders(0, body))
        if len(answer.orders) < PAGE:
            break
        deep = Page(number, body, answer.orders[0].order_id)
        first = first or deep
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    if first is None or deep is None:
        raise WrongPage("the first page is not whole")
    return first, deep
