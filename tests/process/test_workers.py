"""Several processes that serve as one: `backroom serve --workers`."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path

import grpc
import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from storage.database import Database
from storage.embedded import running_url
from storage.url import sibling
from tests.cli.test_serve import read, signed_in_by
from tests.contract.scrape import Scrape
from tests.contract.stand_ins import get_me
from tests.faults.load import Book, crowd, goods, until
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.processes import ServerProcess, serving
from tests.fixtures.servers import Api, sign_in
from tests.fixtures.trading import eventually
from tests.invariants import assert_kept, count_orders
from tests.process.commands import BACKROOM, backroom, backroom_here, bare_environment

pytestmark = pytest.mark.slow

ENOUGH = 30.0
"""In seconds."""
MANY = 24
"""So many connections that each of two workers has some: by chance alone one has none once in 8 million times."""
FREE = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:0", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:0"}
HANDLED = "grpc_server_handled_total"


@asynccontextmanager
async def calling(server: ServerProcess, database: Database) -> AsyncIterator[list[Api]]:
    """One account, on many connections."""
    alone = (("grpc.use_local_subchannel_pool", 1),)
    async with AsyncExitStack() as opened:
        channels = [grpc.aio.insecure_channel(server.address, options=alone) for _ in range(MANY)]
        for channel in channels:
            await opened.enter_async_context(channel)
        first = await sign_in(application_of(database, QUIET), channels[0], ["service"])
        yield [first, *(Api(channel, first.token, first.account_id) for channel in channels[1:])]


@pytest.fixture(scope="module")
def shared_url(postgres: str) -> str:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE workers TEMPLATE template STRATEGY FILE_COPY")
    return sibling(postgres, "workers")


@pytest.fixture(scope="module")
async def shared_database(shared_url: str) -> AsyncIterator[Database]:
    database = Database(shared_url, audit_key=MASTER_KEYS.audit_key, pool_size=1)
    yield database
    await database.close()


@pytest.fixture(scope="module")
async def two(shared_url: str) -> AsyncIterator[ServerProcess]:
    """Two workers, for tests that leave both running."""
    async with serving(shared_url, "--workers", "2", "--no-worker") as server:
        yield server


@pytest.fixture
async def callers(two: ServerProcess, shared_database: Database) -> AsyncIterator[list[Api]]:
    async with calling(two, shared_database) as apis:
        yield apis


async def scraped(server: ServerProcess) -> Scrape:
    """One scrape, on a new connection."""
    await asyncio.sleep(1.1)  # scrapes within this time are equivalent
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{server.http_port}/metrics")
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/plain")
    families = text_string_to_metric_families(answer.text)
    return Scrape(tuple(sample for family in families for sample in family.samples))


def answered_by(server: ServerProcess) -> dict[int, int]:
    """How many calls each worker logged."""
    counts: dict[int, int] = {}
    for line in map(json.loads, list(server.text)):
        if line["event"] == "call":
            counts[line["worker"]] = counts.get(line["worker"], 0) + 1
    return counts


def workers_of(supervisor: int) -> set[int]:
    """The process ids of a supervisor's children."""
    folder = Path(f"/proc/{supervisor}/task")
    return {int(pid) for each in folder.glob("*/children") for pid in each.read_text().split()}


def refuses_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except (ConnectionResetError, TimeoutError):
        # The port was closed while the connection waited to be accepted, or accepting took too long.
        return False
    return False


async def test_one_scrape_counts_the_calls_of_all_workers(two: ServerProcess, callers: list[Api]) -> None:
    """Both answer calls on the one port; whichever answers the scrape, it returns the sum."""
    before, lines = (await scraped(two)).sum(HANDLED, grpc_method="GetMe"), sum(answered_by(two).values())
    await asyncio.gather(*(get_me(api) for api in callers for _ in range(5)))
    for _ in range(10):
        now = await scraped(two)
        assert now.sum(HANDLED, grpc_method="GetMe") - before == 5 * MANY
        assert now.sum("backroom_calls_under_way") == 0
    await until(lambda: sum(answered_by(two).values()) - lines == 5 * MANY)
    assert answered_by(two).keys() == {1, 2}


async def test_a_killed_worker_is_replaced_and_no_counter_falls(
    two: ServerProcess, callers: list[Api], shared_database: Database
) -> None:
    """Its counts up to the last scrape remain, and the new one's calls are added."""
    await asyncio.gather(*(get_me(api) for api in callers))
    before, workers = await scraped(two), workers_of(two.process.pid)
    killed = workers.pop()
    os.kill(killed, signal.SIGKILL)
    await until(lambda: any(b'"worker_serving"' in line for line in two.text), within=ENOUGH)
    assert len(workers_of(two.process.pid)) == 2
    assert workers_of(two.process.pid) > workers
    (ended,) = [line for line in map(json.loads, two.text) if line["event"] == "worker_ended"]
    assert (ended["pid"], ended["code"]) == (killed, -signal.SIGKILL)
    after = await scraped(two)
    assert {each for each, count in counts(before).items() if counts(after).get(each, 0) < count} == set()
    async with calling(two, shared_database) as anew:
        await asyncio.gather(*(get_me(api) for api in anew))
    now = await scraped(two)
    assert now.sum(HANDLED, grpc_method="GetMe") - after.sum(HANDLED, grpc_method="GetMe") == MANY


def counts(scrape: Scrape) -> dict[tuple[str, ...], float]:
    """The samples that must never fall."""
    kinds = ("_total", "_bucket", "_count", "_sum")
    return {(each.name, *each.labels.values()): each.value for each in scrape.samples if each.name.endswith(kinds)}


async def test_a_stop_lets_all_workers_answer_accepted_calls(database: Database, database_url: str) -> None:
    """They drain in parallel, as a single server does, and the supervisor exits with 0 after the last of them."""
    book = Book()
    async with (
        serving(database_url, "--workers", "2", BACKROOM_DRAIN_SECONDS="1") as server,
        calling(server, database) as apis,
        AsyncExitStack() as crowds,
    ):
        await goods(apis[0])
        for api in apis:
            await crowds.enter_async_context(crowd(api, book, callers=1))
        await until(lambda: len(book.ok) > 100)
        begun = set(book.asked)
        server.process.send_signal(signal.SIGTERM)
        await until(lambda: any(b'"stopping"' in line for line in server.text))
        answered = len(book.ok)
        await until(lambda: len(book.ok) > answered + 50)
        assert await asyncio.wait_for(server.process.wait(), ENOUGH) == 0
        assert answered_by(server).keys() == {1, 2}
        await crowds.aclose()
    assert begun <= set(book.ok)
    assert not book.refused
    assert count_orders(database_url) == len(book.ok)
    assert_kept(database_url, book.ok.values())


async def test_workers_do_not_outlive_their_supervisor(database_url: str) -> None:
    """It is killed and cannot notify them: they notice, stop normally, and release both ports."""
    async with serving(database_url, "--workers", "2") as server:
        server.process.kill()
        await server.process.wait()
        for port in (server.grpc_port, server.http_port):
            await until(lambda: refuses_connections(port), within=ENOUGH)  # noqa: B023 - awaited within the loop
        await until(lambda: sum(b'"stopped"' in line for line in server.text) == 3)


async def test_a_used_port_is_reported_in_one_line_that_names_the_setting() -> None:
    """For either port, and before any worker is started."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        ended = await asyncio.gather(
            *(backroom("serve", "--workers", "2", **{**ours("postgresql:///none"), name: taken}) for name in FREE)
        )
    for setting, finished in zip(FREE, ended, strict=True):
        (line,) = finished.err.splitlines()
        assert line.startswith(f"backroom: {setting}: {taken}")
        assert (finished.code, finished.out) == (1, "")


async def test_what_prevents_workers_from_serving_is_reported_once() -> None:
    """In one line, as for a single server, and no worker is restarted."""
    finished = await backroom("serve", "--workers", "2", **ours("postgresql:///none"))
    (line,) = finished.err.splitlines()
    assert line.startswith("backroom: BACKROOM_MASTER_KEY: is not set")
    assert (finished.code, finished.out) == (1, "")


@pytest.mark.proof
async def test_workers_that_end_before_they_serve_are_given_up(tmp_path: Path) -> None:
    """Each is restarted a little later each time, but not forever: then the command fails, and names one."""
    with started(tmp_path, LOG_FORMAT="json", **ours("postgresql:///none")) as process:
        while process.poll() is None:
            for worker in workers_of(process.pid):
                os.kill(worker, signal.SIGKILL)
            await asyncio.sleep(0.05)
        assert process.stderr is not None
        *lines, last = process.stderr.read().splitlines()
    given_up = re.fullmatch("backroom: worker ([123]) ends again and again before it serves", last)
    assert given_up
    ends = [line for line in map(json.loads, lines) if line.get("worker") == int(given_up[1])]
    assert [(each["event"], each.get("again_in")) for each in ends] == [
        ("worker_ended", again_in) for again_in in (0.2, 0.4, 0.8, 1.6, None)
    ]
    assert process.returncode == 1


def ours(database_url: str) -> dict[str, str]:
    return {"DATABASE_URL": database_url, **FREE}


def test_zero_workers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """None would serve."""
    finished = backroom_here(capsys, "serve", "--workers", "0")
    assert finished.code == 2
    assert "--workers" in finished.err


@contextmanager
def started(folder: Path, **settings: str) -> Iterator["subprocess.Popen[str]"]:
    """The command with two workers, as an operator runs it in a folder."""
    command, pipe = [BACKROOM, "serve", "--workers", "2"], subprocess.PIPE
    environment = bare_environment(**settings)
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.proof
async def test_a_first_start_creates_one_database_and_one_admin(tmp_path: Path) -> None:
    """Reported once, when all workers serve; no process is left after Ctrl-C."""
    with started(tmp_path, **FREE) as process:
        assert process.stdout is not None
        said = await asyncio.wait_for(asyncio.to_thread(read, process.stdout, "replays one real day"), 300)
        admin = json.loads((tmp_path / ".backroom" / "admin.json").read_text())
        assert await signed_in_by(said, **admin) == "admin@localhost: admin"
        process.send_signal(signal.SIGINT)
        said += await asyncio.wait_for(asyncio.to_thread(process.stdout.read), 300)
        assert await asyncio.to_thread(process.wait, 60) == 0
    assert said.count("Backroom serves") == said.count("An admin was made") == 1
    assert running_url(tmp_path / ".backroom" / "postgres") is None


async def test_the_jobs_run_in_a_separate_process(database_url: str) -> None:
    """It is restarted when it is killed; the metrics, at a separate address, count its jobs too."""
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        apart = f"127.0.0.1:{found.getsockname()[1]}"
    token = "scrape-scrape-scrape"
    async with (
        serving(database_url, "--workers", "2", BACKROOM_METRICS_ADDRESS=apart, BACKROOM_METRICS_TOKEN=token) as server,
        httpx.AsyncClient() as client,
    ):
        assert len(workers_of(server.process.pid)) == 3
        assert (await client.get(f"http://127.0.0.1:{server.http_port}/metrics")).status_code == 404
        assert (await client.get(f"http://{apart}/metrics")).status_code == 401

        async def jobs_done() -> float:
            await asyncio.sleep(1.1)
            answer = await client.get(f"http://{apart}/metrics", headers={"authorization": f"Bearer {token}"})
            families = text_string_to_metric_families(answer.text)
            samples = (sample for family in families for sample in family.samples)
            return sum(each.value for each in samples if each.name == "backroom_jobs_total")

        first = await eventually(jobs_done, bool)
        assert {line["worker"] for line in map(json.loads, list(server.text)) if line["event"] == "job"} <= {3}
        (does_jobs,) = workers_of(server.process.pid) - serving_pids(server)
        os.kill(does_jobs, signal.SIGKILL)
        await until(lambda: any(b'"worker_doing_jobs"' in line for line in server.text), within=ENOUGH)
        await eventually(jobs_done, lambda done: done > first)


def serving_pids(server: ServerProcess) -> set[int]:
    """The processes that listen on the gRPC port."""
    return {pid for pid in workers_of(server.process.pid) if sockets_of(pid) & listening_on(server.grpc_port)}


def listening_on(port: int) -> set[str]:
    """The listening sockets of a port, as the system names them."""
    tables = (Path(f"/proc/net/{each}").read_text().splitlines()[1:] for each in ("tcp", "tcp6"))
    rows = (line.split() for table in tables for line in table)
    return {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}


def sockets_of(pid: int) -> set[str]:
    return {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()}
