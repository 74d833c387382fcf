"""All items of a list, page after page."""

import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar


class ListRequest(Protocol):
    """What every List method takes."""

    page_token: str


class ListResponse(Protocol):
    """What every List method returns."""

    next_page_token: str


Request = TypeVar("Request", bound=ListRequest)
Response = TypeVar("Response", bound=ListResponse)
Item = TypeVar("Item")


class Pages(Generic[Response]):
    """The pages of a list; each is fetched when the one before is used up.

    The first starts where the request's own page_token says, and each is as large as its page_size says:

        for order in Pages(backroom.orders.ListOrders, ListOrdersRequest()).items(lambda page: page.orders):
    """

    def __init__(self, method: Callable[[Request], Response], request: Request) -> None:
        self._fetch: Callable[[str], Response] = lambda token: method(_starting_at(request, token))

    def __iter__(self) -> Iterator[Response]:
        page = self._fetch("")
        yield page
        while page.next_page_token:
            page = self._fetch(page.next_page_token)
            yield page

    def items(self, of: Callable[[Response], Iterable[Item]]) -> Iterator[Item]:
        """The items of all pages; `of` says where a page has them, so that they keep their type."""
        for page in self:
            yield from of(page)


class AsyncPages(Generic[Response]):
    """The same for asyncio:

    async for order in AsyncPages(backroom.orders.ListOrders, ListOrdersRequest()).items(lambda page: page.orders):
    """

    def __init__(self, method: Callable[[Request], Awaitable[Response]], request: Request) -> None:
        self._fetch: Callable[[str], Awaitable[Response]] = lambda token: method(_starting_at(request, token))

    async def __aiter__(self) -> AsyncIterator[Response]:
        page = await self._fetch("")
        yield page
        while page.next_page_token:
            page = await self._fetch(page.next_page_token)
            yield page

    async def items(self, of: Callable[[Response], Iterable[Item]]) -> AsyncIterator[Item]:
        """The items of all pages; `of` says where a page has them, so that they keep their type."""
        async for page in self:
            for item in of(page):
                yield item


def _starting_at(request: Request, page_token: str) -> Request:
    """The request for another page; the caller's own stays as it is."""
    if not page_token:
        return request
    following = copy.deepcopy(request)
    following.page_token = page_token
    return following
