"""The systems that evaluate flags, ready to be called; each answer is held against that of flagd's own library."""

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import orjson
from google.protobuf.struct_pb2 import Struct

from backroom.flags.v1.flag_service_pb2 import ImportFlagsRequest
from backroom_client import AsyncBackroom, Key
from bench.flags import Person, configuration, people
from bench.measurements.sides import CALLERS, CONNECTIONS
from bench.peers import echo
from bench.peers.http1 import head, open_many
from bench.peers.serving import echo as serve_echo
from bench.peers.serving import usual
from bench.peers.usual.issuing import TokenIssuer
from bench.setting import Backroom, Bench
from flagd.evaluation.v1.evaluation_service_pb2 import ResolveBooleanRequest, ResolveBooleanResponse
from load.connections import Connections, Server, Unary
from load.http2 import Connection
from load.loops import Call
from load.order_requests import Unexpected

RESOLVE_BOOLEAN = "/flagd.evaluation.v1.Service/ResolveBoolean"
_FLAGD_ADDRESS = "BACKROOM_FLAGD_ADDRESS"
_PEOPLE = 10_000
"""So many are evaluated for, again and again: each flag that there is has its turn."""
_PIECE = 200_000
"""Characters of a message of ImportFlags."""


@dataclass(frozen=True, slots=True)
class Evaluator:
    """A server that evaluates flags: one call is one flag for one person."""

    pid: int
    evaluate: Call
    evaluate_at_main_port: Call | None = None
    """Beside all other services, where it has a port for flags alone."""


@asynccontextmanager
async def our_flags(bench: Bench, name: str, flags: int) -> AsyncIterator[Evaluator]:
    """Backroom with so many flags, on a server and a database of its own, asked at flagd's port as its clients do."""
    async with bench.backroom(bench.database(name), **{_FLAGD_ADDRESS: "127.0.0.1:0"}) as server:
        await _import(server, configuration(flags))
        asked = _in_turn(people(flags, _PEOPLE), _request)
        flagd, main = server.further_grpc[_FLAGD_ADDRESS], server.address
        # Opened by the first call: the server ends what is idle while the other systems start.
        ways = [Connections(Server(at, server.api_key, sign_in_address=main), CONNECTIONS) for at in (flagd, main)]
        yield Evaluator(server.pid, *(_evaluating(each.method(RESOLVE_BOOLEAN), asked) for each in ways))
        for each in ways:
            await each.close()


def _evaluating(resolve: Unary, asked: Callable[[], tuple[bytes, Person]]) -> Call:
    async def evaluate(caller: int) -> None:
        request, person = asked()
        answer = ResolveBooleanResponse.FromString(await resolve(caller, request))
        expect(person, answer.value, answer.variant)

    return evaluate


@asynccontextmanager
async def usual_flags(bench: Bench, name: str, flags: int) -> AsyncIterator[Evaluator]:
    """The usual stack with as many, which flagd's library evaluates in its process."""
    issuer = TokenIssuer()
    bearer = f"Bearer {issuer.token(uuid4(), ['flags.evaluate'])}"
    async with AsyncExitStack() as stack:
        path = Path(stack.enter_context(TemporaryDirectory())) / "flags.json"
        path.write_text(configuration(flags))
        server = stack.enter_context(usual(bench.empty_database(name), "orm", issuer.public_key, path))
        host, _, port = server.address.rpartition(":")
        headers = head(host, int(port), authorization=bearer, content_type="application/json")
        connections = await open_many(host, int(port), CALLERS)
        asked = _in_turn(people(flags, _PEOPLE), lambda person: orjson.dumps({"context": person.context}))

        async def evaluate(caller: int) -> None:
            body, person = asked()
            path = f"/flags/{person.flag_key}/boolean".encode()
            status, answer = await connections[caller].call(b"POST", path, headers, body)
            if status != 200:
                raise Unexpected(f"{status}: {answer.decode(errors='replace'):.200}")
            found = orjson.loads(answer)
            expect(person, found["value"], found["variant"])

        yield Evaluator(server.pid, evaluate)
        for connection in connections:
            await connection.close()


@asynccontextmanager
async def echoed_flags(flags: int) -> AsyncIterator[Evaluator]:
    """The bare gRPC echo, which is asked the same and answers everybody alike."""
    asked = _in_turn(people(flags, _PEOPLE), _request)
    with serve_echo() as server:
        connections = [await Connection.open(server.address) for _ in range(CONNECTIONS)]
        methods = [connection.method(RESOLVE_BOOLEAN) for connection in connections]

        async def evaluate(caller: int) -> None:
            request, _ = asked()
            answer = ResolveBooleanResponse.FromString(await methods[caller % len(methods)](request))
            if (answer.value, answer.variant) != (True, echo.VARIANT):
                raise Unexpected(f"the echo answers {answer.variant!r}")

        yield Evaluator(server.pid, evaluate)
        for connection in connections:
            await connection.close()


async def _import(server: Backroom, flags: str) -> None:
    """Takes flagd's JSON in by the API, and returns once the server evaluates all of it."""
    pieces = [flags[start : start + _PIECE] for start in range(0, len(flags), _PIECE)]
    async with AsyncBackroom(server.address, Key(server.api_key)) as backroom:
        await backroom.flags.ImportFlags(ImportFlagsRequest(flag_configuration=piece) for piece in pieces)


def _in_turn(persons: Sequence[Person], body_of: Callable[[Person], bytes]) -> Callable[[], tuple[bytes, Person]]:
    """Each person's request, made beforehand, one after the other and over again."""
    asked = itertools.cycle([(body_of(person), person) for person in persons])
    return lambda: next(asked)


def _request(person: Person) -> bytes:
    context = Struct()
    context.update(person.context)
    return ResolveBooleanRequest(flag_key=person.flag_key, context=context).SerializeToString()


def expect(person: Person, value: bool, variant: str) -> None:
    """Raises Unexpected unless the answer is what flagd's library gives."""
    if (value, variant) != (person.value, "on" if person.value else "off"):
        raise Unexpected(f"{person.flag_key} is {variant!r} for {person.context}, and should be {person.value}")
