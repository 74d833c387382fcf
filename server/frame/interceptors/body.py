"""The one message of a call that has one is read here, and not before it is known who calls."""

import asyncio
from typing import Any

import grpc

from server.frame.call import Call
from server.frame.errors import BodyMalformed
from server.frame.interceptors.base import Behaviour, Method


class Body:
    """Inside of all that can refuse a call without its body: what is refused is never read.

    A body that has not arrived in time raises TimeoutError, and a call that ends without one, BodyMalformed.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def around(self, method: Method, proceed: Behaviour) -> Behaviour:
        if method.takes_stream:
            return proceed

        async def reading(_requests: Any, call: Call) -> Any:
            async with asyncio.timeout(self._seconds):
                body = await call.read()
            if body is grpc.aio.EOF:
                raise BodyMalformed(method=method.path.removeprefix("/"))
            call.received_bytes = len(body)
            return await proceed(body, call)

        return reading
