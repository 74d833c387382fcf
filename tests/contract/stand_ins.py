"""Faulty use cases that replace those of a running server."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc

from backroom.identity.v1 import identity_service_pb2
from tests.fixtures.servers import Api, Running

GET_ME = identity_service_pb2.GetMeRequest()


def get_me(api: Api, *, timeout: float | None = 30, metadata: tuple[tuple[str, str], ...] = ()) -> Any:
    """The path of the call whose use case is replaced."""
    stub: Any = api.channel.unary_unary(
        "/backroom.identity.v1.IdentityService/GetMe",
        request_serializer=identity_service_pb2.GetMeRequest.SerializeToString,
        response_deserializer=identity_service_pb2.GetMeResponse.FromString,
    )
    return stub(GET_ME, metadata=(("authorization", f"Bearer {api.token}"), *metadata), timeout=timeout)


@dataclass
class Slow:
    """A use case that never ends, and records when it started and when it was stopped."""

    began: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, *_: Any) -> NoReturn:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()
        raise AssertionError


async def line_of(server: Running, code: grpc.StatusCode) -> dict[str, Any]:
    """The call's only log line, which may be written slightly after its caller gets the response."""
    async with asyncio.timeout(60):
        while not server.log:  # noqa: ASYNC110 - the log is a plain list
            await asyncio.sleep(0.01)
    (line,) = server.log
    assert line["code"] == code.name
    return line
