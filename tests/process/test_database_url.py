"""Each form of a database's URL leads every part of the process to the same database."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from urllib.parse import quote

import psycopg
import pytest
from prometheus_client import CollectorRegistry

import migrations
from server.frame.jobs import Task, Worker
from storage.database import Database
from storage.examination import examine
from storage.pooler import Pooler
from storage.url import parameters
from tests.fixtures.applications import QUIET

WITHIN = 60.0
"""In seconds; a silent host may take its whole timeout at each connection."""


@dataclass(frozen=True)
class Way:
    """Parts of a URL for the database, and two addresses without one."""

    user: str
    database: str
    folder: str
    """Of the socket."""
    socket_port: str
    port: int
    """At 127.0.0.1."""
    refusing: int
    silent: int

    @property
    def encoded(self) -> str:
        return quote(self.folder, safe="")


FORMS: dict[str, Callable[[Way], str]] = {
    "a host and a port": lambda w: f"postgresql://{w.user}@127.0.0.1:{w.port}/{w.database}",
    "the short scheme": lambda w: f"postgres://{w.user}@127.0.0.1:{w.port}/{w.database}",
    "SQLAlchemy's scheme": lambda w: f"postgresql+psycopg://{w.user}@127.0.0.1:{w.port}/{w.database}",
    "a name": lambda w: f"postgresql://{w.user}@localhost:{w.port}/{w.database}",
    "an address beside the name": lambda w: (
        f"postgresql://{w.user}@db.example.com:{w.port}/{w.database}?hostaddr=127.0.0.1"
    ),
    "all in the query": lambda w: (
        f"postgresql://?host=127.0.0.1&port={w.port}&user={w.user}&dbname={w.database}&sslmode=disable"
    ),
    "a socket in the query": lambda w: f"postgresql://{w.user}@/{w.database}?host={w.folder}&port={w.socket_port}",
    "a socket, encoded": lambda w: f"postgresql://{w.user}@{w.encoded}:{w.socket_port}/{w.database}",
    "hosts with their ports, the first dead": lambda w: (
        f"postgresql://{w.user}@127.0.0.1:{w.refusing},127.0.0.1:{w.port}/{w.database}"
    ),
    "hosts with their ports, the first two silent": lambda w: (
        f"postgresql://{w.user}@127.0.0.1:{w.silent},localhost:{w.silent},127.0.0.1:{w.port}/{w.database}"
    ),
    "a silent host, and more time for each": lambda w: (
        f"postgresql://{w.user}@127.0.0.1:{w.silent},127.0.0.1:{w.port}/{w.database}?connect_timeout=6"
    ),
    "hosts in the query": lambda w: (
        f"postgresql://{w.user}@/{w.database}?host=127.0.0.1,127.0.0.1&port={w.refusing},{w.port}"
        "&target_session_attrs=read-write"
    ),
    "a socket among the hosts": lambda w: (
        f"postgresql://{w.user}@127.0.0.1:{w.refusing},{w.encoded}:{w.socket_port}/{w.database}"
        "?target_session_attrs=primary"
    ),
    "options": lambda w: (
        f"postgresql://{w.user}@127.0.0.1:{w.port}/{w.database}?options=-c%20work_mem%3D8MB&application_name=shop"
    ),
    "what libpq has by default": lambda w: (
        f"postgresql://{w.user}:@127.0.0.1:{w.port}/{w.database}?sslmode=prefer&gssencmode=disable&passfile=/nowhere"
        "&load_balance_hosts=disable&channel_binding=prefer&keepalives=1&client_encoding=utf-8"
    ),
}


@asynccontextmanager
async def _relayed(folder: str, port: str) -> AsyncIterator[int]:
    """A port at 127.0.0.1 that forwards to a socket, since the tests' server listens on no address."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")
        await asyncio.gather(copy(reader, theirs[1]), copy(theirs[0], writer), return_exceptions=True)

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture
async def way(database_url: str) -> AsyncIterator[Way]:
    found = parameters(database_url)
    port = found.get("port", "5432")
    async with AsyncExitStack() as stack:
        relayed = await stack.enter_async_context(_relayed(found["host"], port))
        silent, refusing = stack.enter_context(socket.socket()), stack.enter_context(socket.socket())
        for each in (silent, refusing):
            each.bind(("127.0.0.1", 0))
        silent.listen(100)  # and no process accepts connections
        ports = (relayed, refusing.getsockname()[1], silent.getsockname()[1])
        yield Way(found["user"], found["dbname"], found["host"], port, *ports)


async def _by_the_pool(url: str) -> None:
    database = Database(url, pool_size=2)
    try:
        assert await database.revision() == migrations.head()
    finally:
        await database.close()


async def _by_the_worker(url: str, direct_url: str | None = None) -> None:
    """A job is done, of which the worker is notified over a separate connection."""
    done = asyncio.Event()

    async def run() -> None:
        done.set()

    worker = Worker(
        url, [Task("frame.try", run, every="* * * * * *")], QUIET, CollectorRegistry(), direct_url=direct_url
    )
    worker.start()
    try:
        await done.wait()
        await _until_it_listens(url)
    finally:
        await worker.stop(within=1)


async def _until_it_listens(url: str) -> None:
    listening = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%%'"
    given = {**parameters(url), "connect_timeout": "2"}
    connection = await psycopg.AsyncConnection.connect(**given, autocommit=True)  # type: ignore[arg-type]
    async with connection:
        while (await (await connection.execute(listening)).fetchone() or (0,))[0] == 0:  # noqa: ASYNC110 - it is told by nobody
            await asyncio.sleep(0.1)


async def _by_the_doctor(url: str) -> None:
    assert (await examine(url, Pooler.NONE)).revision == migrations.head()


async def _by_a_migration(url: str) -> None:
    await asyncio.to_thread(migrations.upgrade, url)


WAYS: dict[str, Callable[[str], Awaitable[None]]] = {
    "the pool": _by_the_pool,
    "the worker": _by_the_worker,
    "the worker past a pooler": lambda url: _by_the_worker(url, url),
    "doctor": _by_the_doctor,
    "migrate": _by_a_migration,
}
TOGETHER = [["the pool"], ["the worker", "the worker past a pooler"], ["doctor"], ["migrate"]]
"""The variants that run concurrently: each waits for the silent hosts, and two workers would take each other's jobs."""


@pytest.mark.parametrize("form", FORMS)
async def test_every_part_of_the_process_reaches_the_database_by_each_form(form: str, way: Way) -> None:
    """A form that one part cannot use is accepted by none."""
    url = FORMS[form](way)

    async def reach(names: Sequence[str]) -> None:
        for name in names:
            try:
                async with asyncio.timeout(WITHIN):
                    await WAYS[name](url)
            except TimeoutError:
                pytest.fail(f"{name} does not reach {url}")

    await asyncio.gather(*map(reach, TOGETHER))
