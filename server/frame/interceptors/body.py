"""The messages of a call are read here, and not before it is known who calls."""

from collections.abc import AsyncIterator
from typing import Any

import grpc

from server.frame.call import Call
from server.frame.errors import BodyMalformed
from server.frame.interceptors.base import Behavior, Method
from server.frame.timeouts import Timeouts


class Body:
    """Inside of all that can refuse a call without its body: what is refused is never read.

    A body that has not arrived in time raises TimeoutError, and a call that ends without one, BodyMalformed.
    Of a stream, each message may be waited for: gRPC does not distinguish one that has half arrived from one that has
    not begun, and would keep the half for as long as the connection lasts.
    """

    def __init__(self, seconds: float, silence: float, timeouts: Timeouts) -> None:
        """`seconds` for the message of a call that has one, `silence` for each of a stream's."""
        self._timeouts = timeouts
        self._seconds = seconds
        self._silence = silence

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        async def reading(_requests: Any, call: Call) -> Any:
            with self._timeouts.within(self._seconds):
                body = await call.read()
            if body is grpc.aio.EOF:
                raise BodyMalformed(method=method.path.removeprefix("/"))
            call.received_bytes = len(body)
            return await proceed(body, call)

        async def reading_on(requests: AsyncIterator[Any], call: Call) -> Any:
            return await proceed(self._each(requests), call)

        return reading_on if method.takes_stream else reading

    async def _each(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        while True:
            try:
                with self._timeouts.within(self._silence):
                    request = await anext(requests)
            except StopAsyncIteration:
                return
            yield request
