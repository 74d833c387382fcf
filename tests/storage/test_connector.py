"""Which of several hosts a connection uses, and when connections are given up."""

import asyncio
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from storage import connector as connecting
from storage.connector import Connector
from storage.errors import StoreUnavailable
from storage.problems import ProblemKind
from storage.time_limits import TimeLimits
from storage.timelines import HostStatus
from storage.url import parameters

NAME = "test-connector"


class Silent:
    """A host whose kernel accepts connections, without a process that serves them."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(f"{folder}/.s.PGSQL.5432")
        self._socket.listen(64)
        self._socket.setblocking(False)
        self._taken: list[socket.socket] = []

    def asked(self) -> int:
        """How many connections were attempted."""
        try:
            while True:
                self._taken.append(self._socket.accept()[0])
        except BlockingIOError:
            return len(self._taken)

    def close(self) -> None:
        for each in (*self._taken, self._socket):
            each.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    folder = Path(tempfile.mkdtemp(prefix="backroom-silent-"))
    host = Silent(folder)
    yield host
    host.close()
    shutil.rmtree(folder)


@pytest.fixture
def hosts(database_url: str, silent: Silent) -> Callable[..., str]:
    """The URL of the database at several hosts: "real", "again", which is the same server, and "silent"."""
    found = parameters(database_url)
    if not found["host"].startswith("/"):
        pytest.skip("the way to the database is a pooler's")
    again = Path(silent.folder, "again")
    again.symlink_to(found["host"])
    folders = {"real": found["host"], "again": str(again), "silent": silent.folder, "nowhere": "/nowhere"}

    def url(*order: str, **more: str) -> str:
        names, ports = ",".join(map(folders.__getitem__, order)), ",".join("5432" for _ in order)
        rest = "".join(f"&{name}={value}" for name, value in more.items())
        return f"postgresql://{found['user']}@/{found['dbname']}?host={names}&port={ports}{rest}"

    return url


@asynccontextmanager
async def connector(url: str, **limits: float) -> AsyncIterator[Connector]:
    made = Connector(url, application_name=f"{NAME}-{uuid4()}", limits=TimeLimits(**limits))
    try:
        yield made
    finally:
        await made.close()


async def test_a_host_that_hangs_costs_a_moment_and_not_its_whole_timeout(hosts: Callable[..., str]) -> None:
    """The next one is tried in parallel."""
    async with connector(hosts("silent", "real"), connect=60) as way:
        began = time.monotonic()
        connection = await way.open()
        assert connecting.HEAD_START_SECONDS <= time.monotonic() - began < 30
        await connection.close()


async def test_the_host_that_worked_last_has_the_head_start(hosts: Callable[..., str], silent: Silent) -> None:
    """However the URL orders them."""
    async with connector(hosts("silent", "real"), connect=60) as way:
        await (await way.open()).close()
        assert silent.asked() == 1
        slow = 0
        for _ in range(5):
            began = time.monotonic()
            await (await way.open()).close()
            slow += time.monotonic() - began > connecting.HEAD_START_SECONDS
        assert silent.asked() - 1 <= slow


async def test_a_race_leaves_one_connection(hosts: Callable[..., str], database_url: str) -> None:
    """The later ones are closed."""
    async with connector(hosts("real", "again", "silent"), connect=60) as way:
        connection = await way.open()
        await asyncio.sleep(0.5)
        with psycopg.connect(database_url, autocommit=True) as other:
            count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
            assert other.execute(count, [connection.info.get_parameters()["application_name"]]).fetchone() == (1,)
        await connection.close()


async def test_if_no_host_accepts_us_the_error_gives_each_reason(hosts: Callable[..., str], silent: Silent) -> None:
    """In one line, within one host's timeout."""
    async with connector(hosts("silent", "nowhere"), connect=0.5) as way:
        with pytest.raises(StoreUnavailable) as raised:
            await way.open()
    assert raised.value.problem.text == (
        "/nowhere:5432: No such file or directory; "
        f"{silent.folder}:5432: connection timeout expired: it let nobody in within 0.5 s"
    )
    assert raised.value.problem.kind in (ProblemKind.SILENT, ProblemKind.ABSENT)


async def test_the_urls_own_connect_timeout_takes_precedence(hosts: Callable[..., str]) -> None:
    """The setting is for URLs without one."""
    async with connector(hosts("silent", connect_timeout="1"), connect=60) as way:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await way.open()
        assert time.monotonic() - began < 30


async def test_a_host_that_is_no_primary_yet_is_tried_again_while_another_hangs(
    hosts: Callable[..., str], database_url: str
) -> None:
    """So that a promotion is noticed immediately, and not when the hanging one has timed out."""
    name = parameters(database_url)["dbname"]
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        async with connector(hosts("silent", "real"), connect=60) as way:
            opening = asyncio.create_task(way.open())
            await asyncio.sleep(2)
            assert not opening.done()
            other.execute("SET default_transaction_read_only = off")
            other.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
            async with asyncio.timeout(30):
                await (await opening).close()


async def test_a_standby_among_several_hosts_is_not_used(hosts: Callable[..., str], database_url: str) -> None:
    """Even if the URL does not require a writable session."""
    name = parameters(database_url)["dbname"]
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with connector(hosts("real", "again")) as way:
        with pytest.raises(StoreUnavailable) as raised:
            await way.open()
    assert raised.value.problem.kind is ProblemKind.STANDBY


async def test_an_old_primary_is_refused_after_a_promotion_was_seen(hosts: Callable[..., str]) -> None:
    """Its changes differ from the new one's."""
    async with connector(hosts("real", "again")) as way:
        await (await way.open()).close()
        ((system, timeline),) = way.timelines.seen.items()
        way.timelines.record(HostStatus(system, timeline + 1))
        with pytest.raises(StoreUnavailable, match=f"an old primary: it is at timeline {timeline}") as raised:
            await way.open()
        assert raised.value.problem.kind is ProblemKind.STANDBY


async def test_a_slow_statement_does_not_mean_that_a_host_hangs(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its host is checked, and responds."""
    monkeypatch.setattr(connecting, "SUSPECT_SECONDS", 0.1)
    async with connector(database_url) as way:
        connection = await way.open()
        async with asyncio.timeout(60):
            while not way._probed_at:
                await connection.execute("SELECT pg_sleep(2)")
        assert connection.abandoned == ""
        await connection.close()


async def test_a_listening_connection_is_not_overdue(database_url: str) -> None:
    """Notifications may be days apart."""
    async with connector(database_url) as way:
        connection = await way.open()
        await connection.set_autocommit(True)
        await connection.execute("LISTEN something")
        async for _ in connection.notifies(timeout=1.0):
            pass
        listening = asyncio.create_task(anext(connection.notifies()))
        await asyncio.sleep(0.2)
        assert connection.waiting_seconds(time.monotonic()) == 0.0
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await connection.close()


async def test_a_connection_that_is_given_up_says_why(database_url: str) -> None:
    """To a waiting caller immediately, and to a later one."""
    async with connector(database_url) as way:
        connection = await way.open()
        waiting = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0.1)
        connection.abandon("it hangs")
        async with asyncio.timeout(30):
            with pytest.raises(psycopg.OperationalError, match="it hangs"):
                await waiting
            with pytest.raises(psycopg.OperationalError):
                await connection.execute("SELECT 1")
        await connection.close()
