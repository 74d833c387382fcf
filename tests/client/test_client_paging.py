from collections.abc import Iterator

from backroom.commerce.v1.order_service_pb2 import ListOrdersRequest, ListOrdersResponse
from backroom.commerce.v1.orders_pb2 import Order
from backroom_client import AsyncPages, Pages
from tests.client.played import LIST_ORDERS, Played

PAGES = {
    "": ListOrdersResponse(orders=[Order(reference="1"), Order(reference="2")], next_page_token="b"),
    "b": ListOrdersResponse(next_page_token="c"),
    "c": ListOrdersResponse(orders=[Order(reference="3")]),
}


def orders_of(page: ListOrdersResponse) -> Iterator[Order]:
    return iter(page.orders)


def test_all_items_of_all_pages_are_listed_in_order() -> None:
    """An empty page in the middle ends nothing; only an empty next_page_token does."""
    server = Played(None)
    request = ListOrdersRequest(page_size=2, customer_id="17850")
    pages = Pages(server.client.orders.ListOrders, request)
    call = server.start(lambda: list(pages.items(orders_of)))
    asked = [server.answer(LIST_ORDERS, page)[1] for page in PAGES.values()]
    assert [order.reference for order in call.result(5)] == ["1", "2", "3"]
    assert asked == [ListOrdersRequest(page_size=2, customer_id="17850", page_token=token) for token in PAGES]
    assert request == ListOrdersRequest(page_size=2, customer_id="17850")


def test_a_page_is_fetched_only_when_it_is_needed() -> None:
    """A caller that stops early requests no more."""
    fetched: list[str] = []

    def list_orders(request: ListOrdersRequest) -> ListOrdersResponse:
        fetched.append(request.page_token)
        return PAGES[request.page_token]

    items = Pages(list_orders, ListOrdersRequest()).items(lambda page: page.orders)
    assert next(items).reference == "1"
    assert next(items).reference == "2"
    assert fetched == [""]


def test_listing_continues_from_the_requests_own_token() -> None:
    """A caller may have stored where it stopped."""
    pages = Pages(lambda request: PAGES[request.page_token], ListOrdersRequest(page_token="b"))
    assert [order.reference for page in pages for order in page.orders] == ["3"]


async def test_asyncio_lists_in_the_same_way() -> None:
    """The same pages, the same order, the same unmodified request."""

    async def list_orders(request: ListOrdersRequest) -> ListOrdersResponse:
        return PAGES[request.page_token]

    request = ListOrdersRequest()
    items = AsyncPages(list_orders, request).items(lambda page: page.orders)
    assert [order.reference async for order in items] == ["1", "2", "3"]
    assert request == ListOrdersRequest()
