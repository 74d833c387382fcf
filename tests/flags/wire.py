"""A server of flags in this process, as flagd's clients see it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from flagd.evaluation.v1 import evaluation_service_pb2 as v1
from flagd.evaluation.v1 import evaluation_service_pb2_grpc as v1_grpc
from flagd.evaluation.v2 import evaluation_service_pb2 as v2
from flagd.evaluation.v2 import evaluation_service_pb2_grpc as v2_grpc
from flagd.sync.v1 import sync_service_pb2, sync_service_pb2_grpc
from storage.database import Database
from tests.fixtures.servers import Running, quick_passwords, running

THIS_MACHINE = (ip_network("127.0.0.0/8"),)


@asynccontextmanager
async def serving_flags(database: Database, **parts: Any) -> AsyncIterator[Running]:
    """A server whose flags are open to this machine by default."""
    given = {"passwords": quick_passwords(), "flags_open_to": THIS_MACHINE, **parts}
    async with running(database, **given) as opened:
        await opened.application.health.ready()
        yield opened


class Flagd:
    """The three services that flagd's clients call, with the metadata that one of them sends."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        selector: str | None = None,
        token: str | None = None,
        address: str | None = None,
    ) -> None:
        """`address` is what a proxy says that it calls from."""
        metadata = [("flagd-selector", selector)] if selector is not None else []
        metadata += [("x-forwarded-for", address)] if address else []
        metadata += [("authorization", f"Bearer {token}")] if token else []
        self.v2 = _Bound(v2_grpc.ServiceStub(channel), metadata)
        self.v1 = _Bound(v1_grpc.ServiceStub(channel), metadata)
        self.sync = _Bound(sync_service_pb2_grpc.FlagSyncServiceStub(channel), metadata)

    async def boolean(self, key: str, **context: Any) -> v2.ResolveBooleanResponse:
        request = v2.ResolveBooleanRequest(flag_key=key, context=struct(context))
        found: v2.ResolveBooleanResponse = await self.v2.ResolveBoolean(request)
        return found

    async def fetch(self, **request: Any) -> sync_service_pb2.FetchAllFlagsResponse:
        found: sync_service_pb2.FetchAllFlagsResponse
        found = await self.sync.FetchAllFlags(sync_service_pb2.FetchAllFlagsRequest(**request))
        return found

    def events(self) -> Any:
        return self.v2.EventStream(v2.EventStreamRequest())


class _Bound:
    """A stub whose methods send this metadata."""

    def __init__(self, stub: object, metadata: Sequence[tuple[str, str]]) -> None:
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, method: str) -> Any:
        return partial(getattr(self._stub, method), metadata=self._metadata, timeout=60)


def struct(values: dict[str, Any]) -> Struct:
    found = Struct()
    found.update(values)
    return found


async def known(channel: grpc.aio.Channel, *keys: str, **sent: str | None) -> None:
    """Returns once a server has these flags; what is sent is a selector, or a token."""
    stream = Flagd(channel, **sent).sync.SyncFlags(sync_service_pb2.SyncFlagsRequest())
    try:
        async with asyncio.timeout(60):
            async for synced in stream:
                if set(keys) <= json.loads(synced.flag_configuration)["flags"].keys():
                    return
    finally:
        stream.cancel()


def told(event: v2.EventStreamResponse | v1.EventStreamResponse) -> tuple[str, dict[str, str]]:
    """What an event is, and what became of each flag."""
    flags = MessageToDict(event.data).get("flags", {})
    return event.type, {key: each["type"] for key, each in flags.items()}
