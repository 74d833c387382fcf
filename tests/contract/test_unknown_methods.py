"""Methods that are not in the contract."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from tests.contract.scrape import scraped
from tests.fixtures.servers import Running, refused

PATHS = ("/backroom.commerce.v1.OrderService/Steal", "/backroom.nothing.v1.NoService/Get", "/nonsense", "/a/b/c")

CLIENTS: dict[str, Callable[[Any, str], Any]] = {
    "unary": lambda channel, path: channel.unary_unary(path)(b"one", timeout=60),
    "client_stream": lambda channel, path: channel.stream_unary(path)(timeout=60),
    "server_stream": lambda channel, path: channel.unary_stream(path)(b"one", timeout=60).read(),
    "bidi_stream": lambda channel, path: channel.stream_stream(path)(timeout=60).read(),
}
"""They need not read what is sent to them: the streams send nothing."""


@pytest.mark.parametrize("kind", CLIENTS)
async def test_an_unknown_method_is_refused_with_a_reason(server: Running, kind: str) -> None:
    """Whether its service is known or not, and whatever kind of call the client makes."""
    for path in PATHS:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await CLIENTS[kind](server.channel, path)
        found = refused(raised.value)
        assert (found.code, found.reason) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN"), path
    await server.idle()
    written = [(line["method"], line["code"], line["reason"]) for line in server.log]
    assert written == [(path, "UNIMPLEMENTED", "METHOD_UNKNOWN") for path in PATHS]


async def test_an_unknown_method_is_counted_without_its_name(server: Running) -> None:
    """Callers cannot create labels, which a metrics store would keep forever."""
    before = await scraped(server)
    for path in PATHS:
        with pytest.raises(grpc.aio.AioRpcError):
            await CLIENTS["unary"](server.channel, path)
    after = await scraped(server)
    unknown = {"grpc_service": "unknown", "grpc_method": "unknown"}
    for name, labels in (("started", unknown), ("handled", {**unknown, "grpc_code": "Unimplemented"})):
        counted = after.sum(f"grpc_server_{name}_total", **labels) - before.sum(f"grpc_server_{name}_total", **labels)
        assert counted == len(PATHS)
    assert not [path for path in PATHS if path.rpartition("/")[2] in after.labels_of("grpc_method")]
