"""A watch that resumes: reopened after what it received, until it is refused or left."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from backroom.commerce.v1.order_service_pb2 import WatchOrdersRequest, WatchOrdersResponse
from backroom_client import AsyncWatch, Watch
from tests.client.played import refusal

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
END = None


def error(code: grpc.StatusCode, reason: str, *, retry_after: float = 0) -> grpc.aio.AioRpcError:
    delay = Duration(nanos=int(retry_after % 1 * 1e9), seconds=int(retry_after))
    rich = rpc_status.to_status(refusal(code, reason, error_details_pb2.RetryInfo(retry_delay=delay)))
    trailing = grpc.aio.Metadata(*rich.trailing_metadata)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, rich.details)


@dataclass
class Call:
    """One watch as a server answers it: some tokens, and how it ends."""

    tokens: Sequence[str]
    ends: grpc.aio.AioRpcError | None
    left: bool = False

    def __iter__(self) -> Iterator[WatchOrdersResponse]:
        for token in self.tokens:
            yield WatchOrdersResponse(resume_token=token)
        if self.ends is not None:
            raise self.ends

    async def __aiter__(self) -> AsyncIterator[WatchOrdersResponse]:
        for message in self:
            yield message

    def cancel(self) -> bool:
        self.left = True
        return True


@dataclass
class Server:
    """Answers each watch that is opened with the next of its calls."""

    calls: Sequence[Call]
    opened: list[str] = field(default_factory=list)
    """The tokens that they were opened with."""
    waited: list[float] = field(default_factory=list)
    lists: list[grpc.aio.AioRpcError | None] = field(default_factory=list)
    """How each list ends; once none is left, it succeeds."""
    seen: list[str] = field(default_factory=list)
    """What the caller has received: "listed", and the tokens of messages."""

    def relist(self) -> None:
        ends = self.lists.pop(0) if self.lists else None
        if ends is not None:
            raise ends
        self.seen.append("listed")

    async def relist_soon(self) -> None:
        self.relist()

    async def follow(self, flavour: type[Any], count: int, *, token: str = "") -> list[str]:
        """What a caller with `relist` receives, up to this many messages."""
        request = WatchOrdersRequest(customer_id="17850", resume_token=token)
        if flavour is Watch:
            blocking = iter(Watch(self.watch_orders, request, pause=self.waited.append, relist=self.relist))
            for message in islice(blocking, count):
                self.seen.append(message.resume_token)
            blocking.close()
        else:
            following = aiter(AsyncWatch(self.watch_orders, request, pause=self.pause, relist=self.relist_soon))
            for _ in range(count):
                self.seen.append((await anext(following)).resume_token)
            await following.aclose()
        return self.seen

    def watch_orders(self, request: WatchOrdersRequest) -> Call:
        assert request.customer_id == "17850"
        self.opened.append(request.resume_token)
        return self.calls[len(self.opened) - 1]

    async def pause(self, seconds: float) -> None:
        self.waited.append(seconds)

    async def read(self, flavour: type[Any], count: int, *, token: str = "", spread: float = 1.0) -> list[str]:
        """The tokens of this many messages, after which the watch is left."""
        request = WatchOrdersRequest(customer_id="17850", resume_token=token)
        if flavour is Watch:
            blocking = iter(Watch(self.watch_orders, request, pause=self.waited.append, spread=lambda: spread))
            found = [message.resume_token for message in islice(blocking, count)]
            blocking.close()
        else:
            following = aiter(AsyncWatch(self.watch_orders, request, pause=self.pause, spread=lambda: spread))
            found = [(await anext(following)).resume_token for _ in range(count)]
            await following.aclose()
        assert request == WatchOrdersRequest(customer_id="17850", resume_token=token)
        return found


FLAVOURS = pytest.mark.parametrize("flavour", [Watch, AsyncWatch])


@FLAVOURS
async def test_each_watch_resumes_after_what_was_received(flavour: type[Any]) -> None:
    """Whether the previous one ended normally or its server disappeared; one without messages is reopened as it was."""
    gone = error(UNAVAILABLE, "STOPPING")
    late = error(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    calls = [Call("ab", END), Call("c", gone), Call("", gone), Call("", late), Call("de", END), Call("fg", END)]
    server = Server(calls)
    assert await server.read(flavour, 6, token="kept") == ["a", "b", "c", "d", "e", "f"]
    assert server.opened == ["kept", "b", "c", "c", "c", "e"]
    assert all(call.left for call in calls)


@FLAVOURS
async def test_the_wait_grows_until_something_is_received(flavour: type[Any]) -> None:
    """Up to five seconds, or as long as the server says."""
    gone = error(UNAVAILABLE, "DATABASE_UNAVAILABLE", retry_after=1)
    silent = [Call("", END)] * 7
    server = Server([*silent, Call("a", gone), Call("b", error(UNAVAILABLE, "STOPPING")), Call("c", END)])
    assert await server.read(flavour, 3) == ["a", "b", "c"]
    assert server.waited == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 1, 0.2])
    hurried = Server([Call("", END), Call("a", END)])
    await hurried.read(flavour, 1, spread=0.0)
    assert hurried.waited == pytest.approx([0.1])


@FLAVOURS
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, "RESUME_TOKEN_EXPIRED"),
        (grpc.StatusCode.PERMISSION_DENIED, "CUSTOMER_NOT_PERMITTED"),
        (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"),
    ],
)
async def test_a_refusal_is_raised(flavour: type[Any], code: grpc.StatusCode, reason: str) -> None:
    """Reopening it would be pointless."""
    server = Server([Call("a", END), Call("", error(code, reason))])
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await server.read(flavour, 2)
    assert raised.value.code() is code
    assert server.opened == ["", "a"]


EXPIRED = error(grpc.StatusCode.FAILED_PRECONDITION, "RESUME_TOKEN_EXPIRED")


@FLAVOURS
async def test_a_caller_that_can_list_again_continues_after_a_token_has_expired(flavour: type[Any]) -> None:
    """Without a token; the list is read once the watch is open, and before its changes."""
    server = Server([Call("ab", EXPIRED), Call("", error(UNAVAILABLE, "DATABASE_UNAVAILABLE")), Call("cd", END)])
    assert await server.follow(flavour, 4, token="kept") == ["a", "b", "listed", "c", "d"]
    assert server.opened == ["kept", "", ""]
    server = Server([Call("", EXPIRED), Call("a", END), Call("b", END)])
    assert await server.follow(flavour, 2, token="kept") == ["listed", "a", "b"]
    assert server.opened == ["kept", "", "a"]


@FLAVOURS
async def test_a_watch_without_a_token_lists_after_it_is_open(flavour: type[Any]) -> None:
    """Once, however often it is reopened; if listing fails temporarily, the watch starts once more."""
    server = Server(
        [Call("a", END), Call("b", END), Call("c", END)], lists=[error(UNAVAILABLE, "DATABASE_UNAVAILABLE")]
    )
    assert await server.follow(flavour, 2) == ["listed", "b", "c"]
    assert server.opened == ["", "", "b"]


@FLAVOURS
async def test_a_refused_list_is_raised(flavour: type[Any]) -> None:
    """No change is yielded, since what could not be listed would be missing."""
    server = Server([Call("a", END)], lists=[error(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")])
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await server.follow(flavour, 1)
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert server.seen == []
