"""A call's body is read after every check that does not need it, and with a timeout."""

import asyncio
from typing import Any

import grpc
import pytest

from backroom.commerce.v1 import order_service_pb2
from load import frames
from server.frame import interceptors
from storage.database import Database
from tests.attacks.table import GET_ME, LOGIN, PLACE, PLACE_MANY
from tests.attacks.wire import Attacker, attacker, message
from tests.contract.probes import checked
from tests.faults.load import until
from tests.fixtures.servers import Api, Running, refusal, running

_LINE = order_service_pb2.LineItem(sku="not sold", quantity=1)
ORDER = message(
    order_service_pb2.PlaceOrdersRequest(order=order_service_pb2.PlaceOrderRequest(lines=[_LINE])).SerializeToString()
)
"""One message of PlaceOrders, which is answered by a refusal of its own."""


def under_way(opened: Running) -> float:
    return opened.application.registry.get_sample_value("backroom_calls_under_way", {"kind": "unary"}) or 0.0


def codes(opened: Running) -> list[tuple[str, str | None]]:
    lines = [line for line in opened.log if line["event"] == "call" and line["level"] != "debug"]
    return [(line["code"], line.get("reason")) for line in lines]


def half_of_a_body(by: Attacker, path: str, *, token: bool = False) -> None:
    number = by.open(path, token=token)
    by.send(frames.data(number, message(b"\0" * 1000)[:100]))


async def test_without_a_token_a_call_is_refused_before_its_body_arrives(server: Running) -> None:
    """However large it says that it will be."""
    with attacker(server.server.grpc_port, "none") as by:
        half_of_a_body(by, PLACE, token=True)
        await until(lambda: codes(server) == [("UNAUTHENTICATED", "TOKEN_INVALID")])
    assert under_way(server) == 0


async def test_a_body_that_does_not_arrive_times_out(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """For public methods as for others; other calls are answered meanwhile."""
    monkeypatch.setattr(interceptors, "MAX_BODY_SECONDS", 0.5)
    async with running(database) as opened:
        api = await opened.sign_in("customer")
        assert api.token is not None
        with attacker(opened.server.grpc_port, api.token) as by:
            half_of_a_body(by, LOGIN)
            half_of_a_body(by, GET_ME, token=True)
            await until(lambda: under_way(opened) == 2)
            assert await checked(opened.channel, "liveness") == "SERVING"
            await until(lambda: codes(opened) == [("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")] * 2)
        assert under_way(opened) == 0


async def test_a_silent_stream_times_out(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its first message, between two of them, or in the middle of one; an active stream is read on."""
    monkeypatch.setattr(interceptors, "MAX_SILENCE_SECONDS", 1.0)
    async with running(database) as opened:
        api = await opened.sign_in("customer")
        assert api.token is not None
        with attacker(opened.server.grpc_port, api.token) as by:
            by.open(PLACE_MANY, token=True)
            half_of_a_body(by, PLACE_MANY, token=True)
            one_and_a_half = by.open(PLACE_MANY, token=True)
            by.send(frames.data(one_and_a_half, ORDER + ORDER[:10]))
            going_on = by.open(PLACE_MANY, token=True)
            for _ in range(15):
                by.send(frames.data(going_on, ORDER))
                await asyncio.sleep(0.1)
            by.send(frames.data(going_on, b"", ends=True))
            await until(lambda: len(codes(opened)) == 4)
        assert sorted(codes(opened)) == [*[("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")] * 3, ("OK", None)]


async def test_a_call_that_ends_without_a_body_is_refused(server: Running, customer: Api) -> None:
    """gRPC itself would never answer it."""
    call: Any = server.channel.stream_unary(GET_ME)
    metadata = (("authorization", f"Bearer {customer.token}"),)
    found = await refusal(call(iter(()), metadata=metadata, timeout=60))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BODY_MALFORMED")


async def test_metadata_is_bounded_before_the_peer_has_acknowledged_the_bound(server: Running) -> None:
    """Whatever its size consists of, none of it is stored or logged."""
    filling = (b"x-filling", b"f" * 3000)
    with attacker(server.server.grpc_port, "none", acknowledges=False) as by:
        by.open("/grpc.health.v1.Health/List", filling)
        by.call(GET_ME, message(b""), *[filling] * 10)
        await until(lambda: codes(server) == [("RESOURCE_EXHAUSTED", "METADATA_TOO_LARGE")])
    assert "ffff" not in repr(server.log)
