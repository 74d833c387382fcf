"""All changes, watch after watch: each is opened right behind what the one before it told."""

import asyncio
import copy
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Generic, Protocol, TypeVar

import grpc

from backroom_client.errors import refusal_of

_GOES_ON = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
_EXPIRED = "RESUME_TOKEN_EXPIRED"
_FIRST_WAIT_SECONDS = 0.2
_MAX_WAIT_SECONDS = 5.0


class WatchRequest(Protocol):
    """What every Watch method takes."""

    resume_token: str


class WatchResponse(Protocol):
    """What every Watch method returns."""

    resume_token: str


Request = TypeVar("Request", bound=WatchRequest)
Response = TypeVar("Response", bound=WatchResponse)
Message = TypeVar("Message", covariant=True)


class Call(Protocol[Message]):
    """A watch under way."""

    def __iter__(self) -> Iterator[Message]: ...

    def cancel(self) -> bool: ...


class AsyncCall(Protocol[Message]):
    """The same for asyncio."""

    def __aiter__(self) -> AsyncIterator[Message]: ...

    def cancel(self) -> bool: ...


class Watch(Generic[Response]):
    """The messages of a watch that goes on, on another server if need be, until it is refused or left.

    Without a token in the request it begins with the changes to come, and with a message that holds a token alone, as
    others do now and then. Whoever keeps the token of the last message that was dealt with can go on behind it:

        for message in Watch(backroom.orders.WatchOrders, WatchOrdersRequest(resume_token=kept)):

    It is opened again when it ends, and when its server does not answer.

    A token expires after 30 days, and where the database has failed over to a standby. With `relist`, the watch begins
    anew then; without it, the refusal rises (FAILED_PRECONDITION / RESUME_TOKEN_EXPIRED).
    """

    def __init__(
        self,
        method: Callable[[Request], Call[Response]],
        request: Request,
        *,
        relist: Callable[[], object] | None = None,
        pause: Callable[[float], None] = time.sleep,
        spread: Callable[[], float] = random.random,
    ) -> None:
        """`relist` is called whenever the watch has begun without a token, before its first message is handed out:
        what is listed then, and what the watch tells from there on, leave nothing out. What it raises rises; where that
        is an error of gRPC's that may pass, the watch begins once more instead.

        `pause` waits for so many seconds; `spread`, from 0 to 1, keeps many watches from coming back all at once.
        """
        self._open: Callable[[str], Call[Response]] = lambda token: method(_behind(request, token))
        self._token = request.resume_token
        self._relist = relist
        self._pause = pause
        self._backoff = _Backoff(spread)

    def __iter__(self) -> Generator[Response, None, None]:
        while True:
            call = self._open(self._token)
            try:
                for message in call:
                    if not self._token and self._relist is not None:
                        self._relist()
                    self._token = message.resume_token
                    self._backoff.begin_again()
                    yield message
                wait = self._backoff.after_end()
            except grpc.RpcError as error:
                if self._token and self._relist is not None and _has_expired(error):
                    self._token = ""
                    wait = self._backoff.after_end()
                else:
                    wait = self._backoff.after(error)
            finally:
                call.cancel()
            self._pause(wait)


class AsyncWatch(Generic[Response]):
    """The same for asyncio:

    async for message in AsyncWatch(backroom.orders.WatchOrders, WatchOrdersRequest(resume_token=kept)):
    """

    def __init__(
        self,
        method: Callable[[Request], AsyncCall[Response]],
        request: Request,
        *,
        relist: Callable[[], Awaitable[object]] | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._open: Callable[[str], AsyncCall[Response]] = lambda token: method(_behind(request, token))
        self._token = request.resume_token
        self._relist = relist
        self._pause = pause
        self._backoff = _Backoff(spread)

    async def __aiter__(self) -> AsyncGenerator[Response, None]:
        while True:
            call = self._open(self._token)
            try:
                async for message in call:
                    if not self._token and self._relist is not None:
                        await self._relist()
                    self._token = message.resume_token
                    self._backoff.begin_again()
                    yield message
                wait = self._backoff.after_end()
            except grpc.RpcError as error:
                if self._token and self._relist is not None and _has_expired(error):
                    self._token = ""
                    wait = self._backoff.after_end()
                else:
                    wait = self._backoff.after(error)
            finally:
                call.cancel()
            await self._pause(wait)


class _Backoff:
    """How long to wait before a watch is opened again: longer each time, until one tells something."""

    def __init__(self, spread: Callable[[], float]) -> None:
        self._spread = spread
        self._next = _FIRST_WAIT_SECONDS

    def begin_again(self) -> None:
        self._next = _FIRST_WAIT_SECONDS

    def after_end(self) -> float:
        wait, self._next = self._next, min(2 * self._next, _MAX_WAIT_SECONDS)
        return wait * (0.5 + self._spread() / 2)

    def after(self, error: grpc.RpcError) -> float:
        """Raises the error where opening it again is no use."""
        if error.code() not in _GOES_ON:
            raise error
        refusal = refusal_of(error)
        asked = refusal.retry_delay.total_seconds() if refusal and refusal.retry_delay else 0.0
        return max(asked, self.after_end())


def _has_expired(error: grpc.RpcError) -> bool:
    refusal = refusal_of(error)
    return refusal is not None and refusal.reason == _EXPIRED


def _behind(request: Request, token: str) -> Request:
    """The request for the next watch; the caller's own stays as it is."""
    following = copy.deepcopy(request)
    following.resume_token = token
    return following
