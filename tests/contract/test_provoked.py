"""Faults provoked in every method, with a secret in them: no response and no log contains a part of it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from server.process.server import Server
from server.settings import Address
from storage.database import Database
from storage.url import sibling
from tests.contract.hostile import CANARY, filled
from tests.contract.methods import METHODS, Method, sent
from tests.contract.proto_comments import documented
from tests.contract.test_garbage import MALFORMED, ODD, told
from tests.fixtures.applications import application_of
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.processes import serving
from tests.fixtures.servers import Api, Running, keep_in, refused, sign_in

SECRET = "canary-in-the-error-9b2f"
"""Appears in the text of the error."""


@dataclass
class Fault:
    """What a servicer does instead of answering; None for no fault."""

    act: Callable[[], Any] | None = None


class Faulty:
    """A servicer whose methods execute the fault instead of their own code."""

    def __init__(self, servicer: object, fault: Fault) -> None:
        self._servicer = servicer
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._servicer, name)
        descriptor = next(each for each in METHODS if each.name == name).descriptor
        if descriptor.server_streaming:
            return self._streaming(method)
        return self._answering(method)

    def _answering(self, method: Any) -> Any:
        async def answering(request: Any, context: Any) -> Any:
            return self._fault.act() if self._fault.act else await method(request, context)

        return answering

    def _streaming(self, method: Any) -> Any:
        async def streaming(request: Any, context: Any) -> AsyncIterator[Any]:
            if self._fault.act:
                yield self._fault.act()
            else:
                async for answer in method(request, context):
                    yield answer

        return streaming


def defect() -> Any:
    raise ValueError(f"a defect: {SECRET}") from KeyError(SECRET)


def stray() -> Any:
    raise asyncio.CancelledError(SECRET)


def aborted() -> Any:
    raise grpc.aio.UsageError(SECRET)


def recursion() -> Any:
    raise RecursionError(SECRET)


def group() -> Any:
    raise BaseExceptionGroup(SECRET, [ValueError(SECRET), KeyError(SECRET)])


def no_message() -> Any:
    return SECRET


def nothing() -> Any:
    return None


@pytest.fixture(scope="module")
async def faulty(postgres: str) -> AsyncIterator[tuple[Running, Fault]]:
    """A normal server, except that its servicers execute the fault."""
    name = f"provoked_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template")
    database = Database(sibling(postgres, name), audit_key=MASTER_KEYS.audit_key, pool_size=5)
    lines: list[dict[str, Any]] = []
    wrapper = structlog.make_filtering_bound_logger(logging.DEBUG)
    logger = structlog.wrap_logger(None, processors=[keep_in(lines)], wrapper_class=wrapper)
    application, fault = application_of(database, logger), Fault()
    application.services = [
        replace(service, servicer=Faulty(service.servicer, fault)) for service in application.services
    ]
    server = Server(application, Address("127.0.0.1:0"), Address("127.0.0.1:0"), logger)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            yield Running(application, server, database, channel, lines), fault
    finally:
        await server.stop()
        await database.close()


@pytest.fixture(autouse=True)
def _nothing_leaks(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], faulty: tuple[Running, Fault]
) -> Iterator[None]:
    """Neither the secret nor a payload is in any line of any log, or on standard output."""
    caplog.set_level(logging.DEBUG, logger="uvicorn")
    running, fault = faulty
    running.log.clear()
    yield
    fault.act = None
    told = repr(running.log) + caplog.text + repr([each.exc_info for each in caplog.records]) + repr(capfd.readouterr())
    assert SECRET not in told
    assert CANARY not in told


async def outcome(api: Api, method: Method, body: bytes | None = None) -> grpc.aio.AioRpcError | None:
    """The outcome of a call, which must contain no part of the secret."""
    try:
        await sent(api, method, filled(method.takes).SerializeToString() if body is None else body)
    except grpc.aio.AioRpcError as error:
        ended = error
    else:
        return None
    assert ended.code() is not grpc.StatusCode.UNKNOWN, method
    everything = (ended.details(), ended.initial_metadata(), ended.trailing_metadata(), ended.debug_error_string())
    assert SECRET not in repr(everything), method
    assert CANARY not in told(refused(ended)), method
    return ended


@pytest.mark.parametrize("act", [defect, stray, aborted, recursion, group, no_message, nothing])
async def test_a_fault_in_any_method_is_internal_and_reveals_nothing(
    faulty: tuple[Running, Fault], act: Callable[[], Any]
) -> None:
    """In its use case, in its messages, or in serializing its response."""
    running, fault = faulty
    api = await running.sign_in("admin")
    fault.act = act
    for method in METHODS:
        error = await outcome(api, method)
        assert error is not None, method
        found = refused(error)
        assert (found.code, found.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL"), method
        assert set(found.metadata) == {"call_id"}, method
    await running.idle()
    assert len([line for line in running.log if "fault" in line]) == len(METHODS)


async def failing(connection: AsyncConnection, *_: Any, **__: Any) -> Any:
    """Fails like a statement with an invalid parameter: the driver's error quotes it."""
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.execute("SELECT CAST(%s AS int)", [SECRET])


async def violating(connection: AsyncConnection, *_: Any, **__: Any) -> Any:
    """Fails like a statement that violates a constraint which the store does not translate."""
    return await AS_BEFORE(connection, text(f"DO $$ BEGIN RAISE unique_violation USING MESSAGE = '{SECRET}'; END $$"))


async def cut(connection: AsyncConnection, *_: Any, **__: Any) -> Any:
    """Fails like a statement whose connection is terminated."""
    return await AS_BEFORE(connection, text("SELECT pg_terminate_backend(pg_backend_pid())"))


AS_BEFORE = AsyncConnection.execute


@pytest.mark.parametrize("fails", [failing, violating, cut])
async def test_a_failing_statement_is_answered_as_documented_or_internal(
    faulty: tuple[Running, Fault], monkeypatch: pytest.MonkeyPatch, fails: Callable[..., Any]
) -> None:
    """Whatever the database reports, in every method; and the server continues."""
    running, _ = faulty
    api = await running.sign_in("admin")
    me = next(method for method in METHODS if method.name == "GetMe")
    assert await outcome(api, me) is None
    monkeypatch.setattr(AsyncConnection, "execute", fails)
    failed = 0
    for method in METHODS:
        error = await outcome(api, method)
        if error is None:
            continue
        found = refused(error)
        if found.reason != "INTERNAL":
            assert documented()[str(method)].get(found.reason) == found.code.name, (method, found)
        failed += found.reason in ("INTERNAL", "DATABASE_UNAVAILABLE")
    assert failed > len(METHODS) // 2
    monkeypatch.undo()
    async with asyncio.timeout(60):
        while await outcome(api, me) is not None:  # noqa: ASYNC110 - a connection that was cut is found out by use
            await asyncio.sleep(0.05)


async def test_a_caller_that_disconnects_leaves_nothing_of_what_it_sent(faulty: tuple[Running, Fault]) -> None:
    """At any moment of any method."""
    running, _ = faulty
    api = await running.sign_in("admin")
    metadata = (("authorization", f"Bearer {api.token}"),)
    for number, method in enumerate(METHODS):
        stub: Any = api.channel.unary_stream(str(method))
        call = stub(filled(method.takes).SerializeToString(), metadata=metadata)
        await asyncio.sleep(0.0005 * (number % 5))
        call.cancel()
    await running.idle()
    assert not [line for line in running.log if "fault" in line]


def nested(method: Method, levels: int) -> Iterator[bytes]:
    """Unknown groups nested in groups, below each field of the request that is a message, and at the top."""
    start, end = b"\xc3\x3e", b"\xc4\x3e"
    yield start * levels + end * levels
    deep = start * (levels - 1) + end * (levels - 1)
    for field in method.takes.fields:
        if field.message_type is not None:
            size = len(deep)
            length = bytes([size & 0x7F | 0x80, size >> 7]) if size > 0x7F else bytes([size])
            yield _varint(field.number << 3 | 2) + length + deep


def _varint(number: int) -> bytes:
    return bytes([number & 0x7F | 0x80, number >> 7]) if number > 0x7F else bytes([number])


async def test_101_levels_are_malformed_wherever_they_are(faulty: tuple[Running, Fault]) -> None:
    """At the top of the request, or below any message in it; 100 levels are parsed."""
    running, _ = faulty
    for method in METHODS:
        api = await running.sign_in("admin")  # one of the methods ends its caller's sessions
        for body in nested(method, 101):
            error = await outcome(api, method, body)
            assert error is not None, method
            assert refused(error).reason == "BODY_MALFORMED", method
        for body in nested(method, 100):
            error = await outcome(api, method, body)
            assert error is None or refused(error).reason != "BODY_MALFORMED", method


async def test_garbage_without_a_token_is_refused_for_the_token_or_as_documented(faulty: tuple[Running, Fault]) -> None:
    """Without a token, only public methods parse a body."""
    running, _ = faulty
    for method in METHODS:
        for body in (*MALFORMED.values(), *ODD.values()):
            error = await outcome(running.anonymous, method, body)
            reason = refused(error).reason if error else None
            if method.rule.public:
                assert error is None or documented()[str(method)][str(reason)] == refused(error).code.name, method
            else:
                assert reason == "TOKEN_INVALID", method


@pytest.mark.slow
async def test_a_process_writes_nothing_of_what_it_is_sent(postgres: str) -> None:
    """Neither to its log, at the level DEBUG, nor to standard error."""
    name = f"provoked_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template")
    url = sibling(postgres, name)
    database = Database(url, audit_key=MASTER_KEYS.audit_key, pool_size=2)
    quiet = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    async with (
        serving(url, LOG_LEVEL="DEBUG") as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        api = await sign_in(application_of(database, quiet), channel, ["admin"])
        for method in METHODS:
            plain = filled(method.takes).SerializeToString()
            for body in (plain, plain[:-1], CANARY.encode(), *MALFORMED.values()):
                await outcome(api, method, body)
    await database.close()
    said = b"".join(process.text)
    assert said.count(b'"event":"call"') >= len(METHODS)
    assert CANARY.encode() not in said
    assert api.token is not None
    assert api.token.encode() not in said
