"""Request ids: what makes repeating a change safe."""

import copy
import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, TypeVar
from uuid import UUID, uuid4, uuid5

from google.protobuf.message import Message

NAMESPACE = UUID("c9a5e1db-5fdc-4a6b-9c68-df0188b12d9e")
"""Backroom's own namespace of name-based UUIDs; another one would make every derived id a new one."""

Request = TypeVar("Request")


def request_id_for(*parts: str) -> str:
    """The request_id that belongs to a name, such as ("shop", "order", "536365"): the same name, the same id.

    With it a caller that has numbers of its own can repeat a change after a crash, without having kept the id.
    """
    # JSON keeps the parts apart: ("a", "bc") and ("ab", "c") are two names.
    return str(uuid5(NAMESPACE, json.dumps(parts)))


def new_request_id() -> str:
    return str(uuid4())


def with_request_id(request: Request, new_id: Callable[[], str]) -> Request:
    """The request with its empty request_id filled, on a copy; the request itself where there is nothing to fill.

    The field may stand one level below, as in a PlaceOrdersRequest.
    """
    holder = _message_with_request_id(request)
    if holder is None or holder.request_id:
        return request
    filled = copy.deepcopy(request)
    _message_with_request_id(filled).request_id = new_id()
    return filled


def with_request_ids(requests: Iterable[Request], new_id: Callable[[], str], *, only_first: bool) -> Iterator[Request]:
    """A stream's requests with their request_ids filled.

    Of a stream that is one request in many messages only the first one's counts, and only that is filled: the others
    belong to the content, which must stay the same when the caller repeats it.
    """
    for place, request in enumerate(requests):
        yield request if only_first and place else with_request_id(request, new_id)


async def with_request_ids_async(
    requests: AsyncIterable[Request] | Iterable[Request], new_id: Callable[[], str], *, only_first: bool
) -> AsyncIterator[Request]:
    """The same for asyncio, where a stream's requests come from either kind of iterator."""
    if not isinstance(requests, AsyncIterable):
        for request in with_request_ids(requests, new_id, only_first=only_first):
            yield request
        return
    place = 0
    async for request in requests:
        yield request if only_first and place else with_request_id(request, new_id)
        place += 1


def _message_with_request_id(request: object) -> Any:
    """The message whose request_id counts: the request itself, or one that it carries; None where there is neither."""
    if not isinstance(request, Message):
        return None
    carried = (value for _, value in request.ListFields() if isinstance(value, Message))
    for message in (request, *carried):
        if "request_id" in message.DESCRIPTOR.fields_by_name:
            return message
    return None
