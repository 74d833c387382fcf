"""The doctor says what is configured, what responds, and what to do."""

import asyncio
from urllib.parse import urlsplit

import psycopg
import pytest

import migrations
from tests.fixtures.keys import MASTER_KEY
from tests.fixtures.servers import Running
from tests.process.commands import Finished, backroom, backroom_here


def with_password(url: str) -> str:
    """The URL of the same database, with a password."""
    host = urlsplit(url).netloc
    return url.replace(f"//{host}/", "//postgres:hunter2@/")


async def doctor(capsys: pytest.CaptureFixture[str], server: Running, url: str, **settings: str) -> Finished:
    """Runs the doctor next to a running server, in a thread, so that the server can respond."""
    beside = {
        "BACKROOM_GRPC_ADDRESS": server.address,
        "BACKROOM_HTTP_ADDRESS": server.http.removeprefix("http://"),
        "DATABASE_URL": url,
        "BACKROOM_MASTER_KEY": MASTER_KEY,
        "COLUMNS": "200",
    }
    return await asyncio.to_thread(backroom_here, capsys, "doctor", **beside, **settings)


def row(finished: Finished, what: str) -> str:
    """The row of one finding."""
    (found,) = (line for line in finished.out.splitlines() if line[2:].strip().startswith(what))
    return found


async def test_everything_is_fine_with_a_running_server(
    server: Running, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0; each response is shown, and no secret is."""
    finished = await doctor(capsys, server, with_password(database_url), BACKROOM_API_KEY="brk_secret")
    assert (finished.code, finished.err) == (0, "")
    assert f"answers, at migration {migrations.head()} of {migrations.head()}" in row(finished, "database ")
    assert "SERVING" in row(finished, "gRPC readiness")
    assert "200 OK" in row(finished, "HTTP /readyz")
    assert "hunter2" not in finished.out
    assert "brk_secret" not in finished.out


async def test_a_server_that_is_not_ready_is_broken(
    own_server: Running, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1."""
    await own_server.application.health.drain()
    finished = await doctor(capsys, own_server, database_url)
    assert finished.code == 1
    assert "NOT_SERVING" in row(finished, "gRPC readiness")
    assert "503" in row(finished, "HTTP /readyz")


async def test_an_unreachable_database_is_broken(server: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and its password is not shown."""
    url = "postgresql://postgres:hunter2@/backroom?host=/nonexistent&password=hunter2"
    finished = await doctor(capsys, server, url)
    assert finished.code == 1
    assert "failed: No such file" in row(finished, "database ")
    assert "hunter2" not in finished.out + finished.err


async def test_a_database_that_is_behind_is_broken(
    own_server: Running, capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    """Exit code 1, with the command to run."""
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    finished = await doctor(capsys, own_server, database_url)
    assert finished.code == 1
    assert f"at migration 0001 of {migrations.head()}" in row(finished, "database ")
    assert "backroom migrate" in row(finished, "database ")


@pytest.mark.slow
async def test_a_server_that_does_not_run_is_not_broken() -> None:
    """Exit code 0, and nothing is started: the rows say how to start it."""
    nothing = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:1", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:1"}
    finished = await backroom("doctor", COLUMNS="200", **nothing)
    assert (finished.code, finished.err) == (0, "")
    for what, state in (
        ("database ", "the embedded one is not running"),
        ("gRPC readiness", "nothing answers on 127.0.0.1:1"),
        ("HTTP /readyz", "nothing answers on 127.0.0.1:1"),
    ):
        assert state in row(finished, what)
        assert "make run" in row(finished, what)
