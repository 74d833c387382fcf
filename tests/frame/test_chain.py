"""The interceptors around every call, and their order."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from backroom.identity.v1 import identity_service_pb2
from server.frame.call import Call
from server.frame.caller import ANONYMOUS, Caller
from server.frame.errors import MethodUnknown
from server.frame.interceptors.access import Access
from server.frame.interceptors.base import Method
from server.frame.interceptors.in_flight import InFlight
from tests.fixtures.servers import Api, Running, refusal
from tests.identity.people import log_of, me, registering


class Context:
    """The parts of gRPC's context that a call uses."""

    def __init__(self, *metadata: tuple[str, str | bytes]) -> None:
        self._metadata = metadata

    def peer(self) -> str:
        return "ipv4:10.0.0.7:51234"

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return self._metadata

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(callback)


def call(*metadata: tuple[str, str | bytes], method: str = "/shop.v1.ShopService/Buy") -> Call:
    return Call(Context(*metadata), method)  # type: ignore[arg-type] # all that it asks of a context here


async def test_the_order_of_the_interceptors(server: Running) -> None:
    """From the outermost to the innermost; the chain's comments give the reasons."""
    order = [type(each).__name__ for each in server.application.chain.interceptors]
    around = ["InFlight", "Recording", "Refusals"]
    before = ["MetadataLimit", "Shedding", "Deadline", "Access", "FairShare"]
    assert order == [*around, *before, "Body", "Validation"]


async def test_a_method_without_a_rule_is_not_called(server: Running) -> None:
    """A handler that no contract declares cannot be called."""
    called = []

    async def handler(request: Any, _call: Call) -> None:
        called.append(request)

    access = Access({}, server.application.identity.access_cache)
    with pytest.raises(MethodUnknown):
        await access.around(Method("/shop.v1.ShopService/Buy"), handler)(b"", call())
    assert called == []


async def test_each_call_has_one_log_line_whatever_its_outcome(server: Running, customer: Api) -> None:
    """With caller, method, outcome and the reason of a refusal, but nothing of the payload."""
    await me(customer)
    await log_of(server)
    await refusal(me(server.anonymous))
    await log_of(server)
    await refusal(server.anonymous.identity.Register(registering(password="s3cret")))
    lines = [line for line in await log_of(server) if line["event"] == "call"]
    assert [line["code"] for line in lines] == ["OK", "UNAUTHENTICATED", "INVALID_ARGUMENT"]
    assert [line.get("reason") for line in lines] == [None, "TOKEN_INVALID", "FIELD_INVALID"]
    assert [line["caller"] for line in lines] == [str(customer.account_id), None, None]
    assert lines[0]["method"] == "/backroom.identity.v1.IdentityService/GetMe"
    assert not {"s3cret", "ada@example.com", customer.token} & set(str(lines).split("'"))


@pytest.mark.parametrize("refused", [False, True])
async def test_a_call_keeps_the_id_that_its_caller_sends(server: Running, customer: Api, *, refused: bool) -> None:
    """The id is in the trailing metadata and in the log, for responses and refusals alike."""
    api = server.anonymous if refused else customer
    metadata = (*(() if refused else (("authorization", f"Bearer {api.token}"),)), ("x-request-id", "mine-7"))
    method: Any = server.channel.unary_unary("/backroom.identity.v1.IdentityService/GetMe")
    sent = method(identity_service_pb2.GetMeRequest().SerializeToString(), metadata=metadata)
    if refused:
        await refusal(sent)
    else:
        await sent
    assert dict(await sent.trailing_metadata())["x-request-id"] == "mine-7"
    assert [line["call_id"] for line in await log_of(server) if line["event"] == "call"] == ["mine-7"]


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", "a\nb", "é", '"', "{}"])
def test_an_id_that_does_not_fit_a_log_is_replaced(sent: str) -> None:
    """The call gets one from the server instead."""
    named = call(("x-request-id", sent))
    assert named.id != sent
    assert len(named.id) == 36
    assert len(call(("x-request-id", b"bytes")).id) == 36
    assert call(("x-request-id", "x" * 64)).id == "x" * 64


def test_control_characters_in_callers_texts_are_removed() -> None:
    """NUL, escape codes and line ends become spaces; bytes stay as they are."""
    sent = call(("user-agent", "a\0b\x1b[2J\r\nc\u2028d é"), ("x-bin", b"\0\x1b")).metadata
    assert sent == {"user-agent": "a b [2J  c d é", "x-bin": b"\0\x1b"}


def test_a_trace_is_continued_if_the_caller_has_one() -> None:
    """From the W3C header; a new id replaces a malformed one."""
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert call(("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01")).trace_id == trace_id
    for malformed in ("", trace_id, f"00-{trace_id.upper()}-00f067aa0ba902b7-01", f"00-{trace_id}-00f067aa0ba902b7"):
        made = call(("traceparent", malformed)).trace_id
        assert made != trace_id
        assert len(made) == 32


def test_a_call_has_no_caller_before_access_is_decided() -> None:
    """It starts without an account, and one that bypassed the interceptors has no caller at all."""
    assert call().caller is ANONYMOUS
    assert not ANONYMOUS.signed_in
    assert not ANONYMOUS.may("catalog.read")
    assert not hasattr(grpc.aio.ServicerContext, "caller")


def test_a_caller_may_do_what_its_permissions_say() -> None:
    """Each permission by its exact name."""
    caller = Caller(ANONYMOUS.account_id, frozenset(["orders.place"]))
    assert caller.may("orders.place")
    assert not caller.may("orders")
    assert not caller.may("orders.place_for")


async def test_the_server_waits_for_the_calls_under_way() -> None:
    """It is idle when the last has ended, with any outcome; health and reflection do not count."""
    in_flight = InFlight()
    release = asyncio.Event()

    async def answering(request: str, _call: Call) -> None:
        await release.wait()
        if request == "fail":
            raise ValueError("unforeseen")

    def called(path: str, request: str = "") -> asyncio.Task[None]:
        return asyncio.ensure_future(in_flight.around(Method(path), answering)(request, call(method=path)))

    watch = called("/grpc.health.v1.Health/Watch")
    await in_flight.idle()
    buying, failing = called("/shop.v1.ShopService/Buy"), called("/shop.v1.ShopService/Buy", "fail")
    await asyncio.sleep(0)
    idle = asyncio.create_task(in_flight.idle())
    await asyncio.sleep(0)
    assert not idle.done()
    release.set()
    await asyncio.gather(watch, buying, idle)
    with pytest.raises(ValueError, match="unforeseen"):
        await failing
