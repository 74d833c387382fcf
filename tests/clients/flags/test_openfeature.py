"""Unmodified providers of OpenFeature's evaluate the server's flags, are told of changes, and come back to it."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from server.flags.rules.fractional import Fractional
from storage.database import Database
from storage.flags.records import Flag, FlagState
from tests.clients.flags.programs import Client, client_of
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.pgbouncer import POOLER
from tests.fixtures.postgres import migrated
from tests.fixtures.processes import ServerProcess, serving
from tests.flags.keeping import add, change
from tests.flags.values import asked, flag, snapshot

pytestmark = pytest.mark.clients

SHARES = {"fractional": [["on", 50], ["off", 50]]}
PRO = {"if": [{"==": [{"var": "plan"}, "pro"]}, "on"]}
PEOPLE = [f"user-{number}" for number in range(16)]


@dataclass(frozen=True)
class Kind:
    """One provider, and how it asks."""

    name: str
    program: tuple[str, ...]
    mode: str = ""
    fractional: str = "v3"
    """The version in which it evaluates by itself; where the server evaluates, any will do."""
    told: bool = True
    """Whether it hears of changes; otherwise it asks each time."""
    floats_only: bool = False
    """Whether a float must be asked for as such."""
    metadata: bool = True
    """Whether it hands on what is said of a flag."""


FLAGD_PYTHON = Kind("flagd, Python, remote", ("talk.py",), "rpc", metadata=False)
FLAGD_NODE = Kind("flagd, JavaScript, remote", ("flagd.mjs",), "rpc")
KINDS = (
    FLAGD_PYTHON,
    replace(FLAGD_PYTHON, name="flagd, Python, in-process", mode="in-process", metadata=True),
    FLAGD_NODE,
    replace(FLAGD_NODE, name="flagd, JavaScript, in-process", mode="in-process", fractional="v2"),
    Kind("OFREP, Python", ("talk.py",), told=False, floats_only=True),
    Kind("OFREP, JavaScript, server", ("ofrep_server.mjs",), told=False),
    Kind("OFREP, JavaScript, browser", ("ofrep_web.mjs",)),
)
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@dataclass(frozen=True)
class Place:
    """Where a server is found, also after it was started anew."""

    evaluation: int
    sync: int
    http: int
    """Ports: flagd's two, and OFREP's."""

    @staticmethod
    def free() -> "Place":
        with ExitStack() as opened:
            found = [opened.enter_context(socket.socket()) for _ in range(3)]
            for each in found:
                each.bind(("127.0.0.1", 0))
            return Place(*(each.getsockname()[1] for each in found))

    def serving(self, database_url: str, fractional: str) -> AbstractAsyncContextManager[ServerProcess]:
        return serving(
            database_url,
            BACKROOM_FLAGD_ADDRESS=f"127.0.0.1:{self.evaluation}",
            BACKROOM_FLAGD_SYNC_ADDRESS=f"127.0.0.1:{self.sync}",
            BACKROOM_HTTP_ADDRESS=f"127.0.0.1:{self.http}",
            BACKROOM_FLAGS_OPEN_TO="127.0.0.0/8",
            BACKROOM_FLAGS_FRACTIONAL=fractional,
            BACKROOM_OFREP_CALLS_PER_SECOND="0",
        )


@pytest.fixture(scope="module")
async def places(postgres: str, request: pytest.FixtureRequest) -> AsyncIterator[Mapping[str, Place]]:
    """A server of the same flags for each version of `fractional`."""
    with migrated(postgres, request) as url:
        database = Database(url, audit_key=MASTER_KEYS.audit_key, pooler=POOLER)
        await add(database, *kept())
        await database.close()
        found = {version: Place.free() for version in ("v2", "v3")}
        async with found["v2"].serving(url, "v2"), found["v3"].serving(url, "v3"):
            yield found


@asynccontextmanager
async def evaluating(
    kind: Kind, place: Place, javascript: Path, python: Path, cache: str = "local-cache-first"
) -> AsyncIterator[Client]:
    """The provider at a server; `cache` is how a page takes what it stored, by default at once, and asks behind it."""
    port = place.sync if kind.mode == "in-process" else place.evaluation
    settings: dict[str, Any] = {"port": port, "mode": kind.mode, "headers": [], "cache": cache}
    settings |= {"url": f"http://127.0.0.1:{place.http}", "provider": "flagd" if kind.mode else "ofrep"}
    if kind.program[0].endswith(".py"):
        folder = Path(__file__).parent / "python"
        command: tuple[str | Path, ...] = (python, "-u", *kind.program)
    else:
        folder, command = javascript, (shutil.which("node") or "node", *kind.program)
    async with client_of(*command, cwd=folder, settings=settings) as client:
        yield client


def kept() -> list[Flag]:
    return [
        flag("bool", default="on", metadata={"team": "a"}),
        flag("text", {"hi": "hello", "bye": "goodbye"}, "hi"),
        # JavaScript's client hands out what it has cached, whatever type is asked for: this one is asked for once.
        flag("words", {"some": "words"}, "some"),
        flag("whole", {"few": 7, "many": 100}, "few"),
        flag("float", {"two": 2.0, "half": 0.5}, "two"),
        flag("thing", {"dark": {"color": "black", "sizes": [1, 2.5]}, "light": {}}, "dark"),
        flag("pro", targeting=PRO),
        flag("share", targeting=SHARES),
        flag("off", state=FlagState.DISABLED),
        flag("none", default=""),
    ]


@every_kind
async def test_a_provider_evaluates_every_kind_of_flag(
    kind: Kind, places: Mapping[str, Place], javascript: Path, python: Path
) -> None:
    """Each type, targeting, shares, a disabled flag, one without a default, an unknown one, and a wrong type."""
    async with evaluating(kind, places[kind.fractional], javascript, python, cache="network-first") as client:
        boolean = await client.ask("bool", "boolean", False)
        said = {"team": "a"} if kind.metadata else {}
        assert boolean == {"value": True, "reason": "STATIC", "variant": "on", "error": None, "metadata": said}
        for key, of_type, default, value in (
            ("text", "string", "", "hello"),
            ("whole", "integer", 0, 7),
            ("float", "float", 0.1, 2.0),
            ("thing", "object", {}, {"color": "black", "sizes": [1, 2.5]}),
        ):
            found = await client.ask(key, of_type, default)
            assert (found["value"], found["reason"], found["error"]) == (value, "STATIC", None), key
        matched = await client.ask("pro", "boolean", False, targetingKey="u", plan="pro")
        assert (matched["value"], matched["reason"], matched["variant"]) == (True, "TARGETING_MATCH", "on")
        other = await client.ask("pro", "boolean", True, targetingKey="u", plan="free")
        assert (other["value"], other["reason"], other["variant"]) == (False, "DEFAULT", "off")
        shared = snapshot(*kept(), version=Fractional(kind.fractional))
        for person in PEOPLE:
            found = await client.ask("share", "boolean", False, targetingKey=person)
            assert found["value"] == asked(shared, "share", targetingKey=person).value, person
            assert found["reason"] == "TARGETING_MATCH"
        for key, reason in (("off", "DISABLED"), ("none", "DEFAULT")):
            for default in (True, False):
                found = await client.ask(key, "boolean", default)
                assert (found["value"], found["reason"], found["variant"]) == (default, reason, None)
        unknown = await client.ask("unknown", "boolean", True)
        assert (unknown["value"], unknown["error"]) == (True, "FLAG_NOT_FOUND")
        wrong = await client.ask("words", "boolean", True)
        assert (wrong["value"], wrong["error"]) == (True, "TYPE_MISMATCH")
        if kind.floats_only:
            assert (await client.ask("whole", "float", 0.5))["error"] == "TYPE_MISMATCH"


async def test_providers_learn_of_changes_and_come_back_to_a_server_that_was_started_anew(
    database_url: str, database: Database, javascript: Path, python: Path
) -> None:
    """All of them at once; what changed while the server was away is seen as well."""
    one, place = flag("bool", default="off"), Place.free()
    await add(database, one)
    async with AsyncExitStack() as opened:
        async with place.serving(database_url, "v3") as first:
            starting = (opened.enter_async_context(evaluating(each, place, javascript, python)) for each in KINDS)
            clients = dict(zip(KINDS, await asyncio.gather(*starting), strict=True))
            await of_all(clients, lambda _, client: until_it_is(client, False))
            one = await told_to_all(database, clients, one, True)
            lines = {kind: len(client.said) for kind, client in clients.items()}
            assert await first.terminate() == 0
        one = replace(one, default_variant="off", version=one.version + 1, update_time=datetime.now(UTC))
        await change(database, one)

        async def come_back(kind: Kind, client: Client) -> None:
            await until_it_is(client, False)
            if kind.mode == "rpc":  # it is answered as soon as it calls, and hears of changes a little later
                await client.until_told_of("PROVIDER_READY", lines[kind])

        async with place.serving(database_url, "v3"):
            await of_all(clients, come_back)
            await told_to_all(database, clients, one, True)


Clients = Mapping[Kind, Client]


async def told_to_all(database: Database, clients: Clients, one: Flag, value: bool) -> Flag:
    """Changes the flag, which all learn of, and returns it."""
    lines = {kind: len(client.said) for kind, client in clients.items()}
    changed = replace(one, default_variant="on" if value else "off", version=one.version + 1)
    await change(database, changed)

    async def learn(kind: Kind, client: Client) -> None:
        if kind.told:
            await client.until_told("bool", lines[kind])
        await until_it_is(client, value)

    await of_all(clients, learn)
    return changed


async def of_all(clients: Clients, act: Callable[[Kind, Client], Awaitable[None]]) -> None:
    """Has each client do so, all at once; the error names those that did not."""
    ended = await asyncio.gather(*(act(*each) for each in clients.items()), return_exceptions=True)
    failed = {kind.name: error for kind, error in zip(clients, ended, strict=True) if error is not None}
    assert not failed


async def until_it_is(client: Client, value: bool) -> None:
    """Returns once the flag is this to the client, and not its default."""
    async with asyncio.timeout(60):
        while True:
            found = await client.ask("bool", "boolean", not value)
            if found["value"] is value:
                return
            await asyncio.sleep(0.1)
