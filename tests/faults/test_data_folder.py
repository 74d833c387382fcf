"""The data folder of a first run: a problem is reported in one line, and the next start completes the work."""

import asyncio
import json
import os
import random
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backroom.identity.v1 import identity_service_pb2
from server.frame.module import now
from server.identity.use_cases import build_identity
from server.modules import permissions
from server.process.data_dir.first_admin import FIRST_ADMIN, ensure_first_admin
from server.process.data_dir.master_key import master_keys
from server.process.data_dir.own_sandbox import running_sandbox
from server.process.data_dir.private_file import stored_value, write_private, write_private_once
from server.process.failure import Failure
from server.settings import settings_of
from storage.database import Database
from storage.embedded import EmbeddedPostgres, running_url
from storage.frame.records import NOBODY, ChangeContext
from storage.identity.store import IDENTITY
from tests.cli.test_serve import read, serve, signed_in_by, start
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.servers import Running
from tests.process.commands import BACKROOM, Finished, backroom, backroom_here, bare_environment
from tests.storage.embedded.users import end, none_left, servers_of

EVERY_COMMAND = (
    ("serve",),
    ("worker",),
    ("migrate",),
    ("verify",),
    ("keys", "list"),
    ("audit", "list"),
    ("admin", "create-user", "ada@example.com"),
)


def line_of(finished: Finished) -> str:
    """The one line that a command ended with."""
    (line,) = finished.err.splitlines()
    assert finished.code == 1
    return line


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
def test_a_data_folder_that_is_a_file_is_reported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    """By every command, with what to do; the file is not changed."""
    (tmp_path / "data").write_text("a letter")
    line = line_of(backroom_here(capsys, *command, BACKROOM_DATA_DIR=str(tmp_path / "data")))
    assert line.startswith(f"backroom: BACKROOM_DATA_DIR: {tmp_path / 'data'}: ")
    assert "set it to another folder" in line
    assert (tmp_path / "data").read_text() == "a letter"


@pytest.mark.parametrize("command", EVERY_COMMAND[:3], ids=" ".join)
def test_a_data_folder_that_cannot_be_created_is_reported(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """As on a read-only file system; /sys is one, even for root."""
    line = line_of(backroom_here(capsys, *command, BACKROOM_DATA_DIR="/sys/backroom"))
    assert line.startswith("backroom: BACKROOM_DATA_DIR: /sys/backroom: ")
    assert "let this user read and write it, or set it to another folder" in line


def test_the_doctor_reports_an_invalid_data_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It is broken, with what to do."""
    (tmp_path / "data").write_text("a letter")
    finished = backroom_here(capsys, "doctor", BACKROOM_DATA_DIR=str(tmp_path / "data"), COLUMNS="500")
    (line,) = (line for line in finished.out.splitlines() if "BACKROOM_DATA_DIR" in line)
    assert "✗" in line
    assert "set it to another folder" in line
    assert finished.code == 1


def test_files_in_the_way_of_the_data_are_reported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With the setting, and the embedded server's own message."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "thesis.txt").write_text("ten years")
    line = line_of(backroom_here(capsys, "migrate", BACKROOM_DATA_DIR=str(tmp_path)))
    what = f"{tmp_path / 'postgres'} contains something other than PostgreSQL's data"
    assert line.startswith(f"backroom: BACKROOM_DATA_DIR: {what}")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A folder on a disk of 8 MB; not in pytest's own, which cannot remove a mounted one."""
    folder = Path(tempfile.mkdtemp(prefix="backroom-small-"))
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=8m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        folder.rmdir()
        pytest.skip("a disk that is full is made by mount, which root alone may use, and not in every container")
    yield folder
    end(servers_of(folder))
    subprocess.run(["/bin/umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.parametrize("megabytes", [8, 40], ids=["for the data", "for the migrations"])
async def test_a_full_disk_is_reported_and_the_next_start_serves(small_disk: Path, megabytes: int) -> None:
    """It completes the work, once there is space."""

    def resize(megabytes: int) -> None:
        subprocess.run(["/bin/mount", "-o", f"remount,size={megabytes}m", str(small_disk)], check=True)

    resize(megabytes)
    settings = {"BACKROOM_DATA_DIR": str(small_disk), "BACKROOM_GRPC_ADDRESS": "127.0.0.1:0"}
    for arguments in (("serve",), ("serve", "--workers", "2"), ("migrate",)):
        line = line_of(await backroom(*arguments, BACKROOM_HTTP_ADDRESS="127.0.0.1:0", **settings))
        assert line.startswith(f"backroom: BACKROOM_DATA_DIR: {small_disk}: No space left on device; make room")
    assert running_url(small_disk / "postgres") is None
    resize(300)
    finished = await backroom("migrate", **settings)
    assert (finished.code, finished.err) == (0, "")


def test_python_without_docstrings_is_refused() -> None:
    """Docstrings hold the messages for callers: without them every refusal would be UNKNOWN."""
    environment = bare_environment(PYTHONOPTIMIZE="2")
    ended = subprocess.run([BACKROOM, "migrate"], env=environment, capture_output=True, text=True, timeout=300)
    (line,) = ended.stderr.splitlines()
    assert line.startswith("backroom: PYTHONOPTIMIZE: ")
    assert "unset it, or set it to 1" in line
    assert ended.returncode == 2


async def test_two_concurrent_first_starts_serve_with_one_admin(tmp_path: Path) -> None:
    """One waits for the other, and a third process migrates; the password in admin.json signs in with both."""
    with serve(tmp_path) as one, serve(tmp_path) as other, command(tmp_path, "migrate") as third:
        try:
            for process in (one, other):
                assert process.stdout is not None
                said = await asyncio.wait_for(asyncio.to_thread(read, process.stdout, "Ctrl-C stops it."), 300)
                admin = json.loads((tmp_path / ".backroom" / "admin.json").read_text())
                assert await signed_in_by(said, **admin) == "admin@localhost: admin"
            assert await asyncio.to_thread(third.wait, 120) == 0
            assert running_sandbox(settings_of({"BACKROOM_DATA_DIR": str(tmp_path / ".backroom")})) is not None
            for process in (one, other):
                process.send_signal(signal.SIGINT)
            assert [await asyncio.to_thread(each.wait, 60) for each in (one, other)] == [0, 0]
        finally:
            for each in (one, other, third):
                each.kill()
    assert running_url(tmp_path / ".backroom" / "postgres") is None
    assert not [name for name in names_in(tmp_path / ".backroom") if name.startswith(".") or name.endswith(".new")]


async def killed_and_started(folder: Path, seconds: float) -> None:
    """Kills a first start after this long, and checks that the next one serves, with an admin who can sign in."""
    with serve(folder) as process:
        await asyncio.sleep(seconds)
        process.kill()
    started = await start(folder, until="Ctrl-C stops it.")
    assert (started.signed_in, started.code) == ("admin@localhost: admin", 0)
    assert await asyncio.to_thread(none_left, folder)


@pytest.mark.parametrize("seconds", [0.9, 1.4, 1.8])
async def test_a_killed_first_start_is_completed_by_the_next(tmp_path: Path, seconds: float) -> None:
    """While creating the data, the tables or the admin; no process is left."""
    await killed_and_started(tmp_path, seconds)


@pytest.mark.skipif(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, reason="with nohup, a server goes on")
async def test_a_closed_terminal_leaves_no_process(tmp_path: Path) -> None:
    """SIGHUP stops the server as Ctrl-C does, with its database and its sandbox."""
    with serve(tmp_path) as process:
        assert process.stdout is not None
        await asyncio.wait_for(asyncio.to_thread(read, process.stdout, "Ctrl-C stops it."), 300)
        try:
            process.send_signal(signal.SIGHUP)
            await asyncio.wait_for(asyncio.to_thread(process.stdout.read), 300)
            assert await asyncio.to_thread(process.wait, 60) == 0
        finally:
            process.kill()
    assert running_url(tmp_path / ".backroom" / "postgres") is None


@pytest.mark.proof
async def test_a_first_start_may_be_killed_at_any_time(tmp_path: Path) -> None:
    """Twenty times."""
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        await killed_and_started(folder, random.uniform(0.2, 3.2))  # noqa: S311 - not for secrets


def command(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    pipe = subprocess.DEVNULL
    return subprocess.Popen([BACKROOM, *arguments], cwd=folder, env=bare_environment(), stdout=pipe, text=True)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def password_in(folder: Path, server: Running) -> str:
    """The password in admin.json, which signs in."""
    password = stored_value(folder / "admin.json", "password")
    assert password is not None
    await server.anonymous.identity.Login(identity_service_pb2.LoginRequest(email=FIRST_ADMIN, password=password))
    return password


async def test_an_admin_whose_creation_was_interrupted_can_sign_in(
    server: Running, database: Database, tmp_path: Path
) -> None:
    """Whether it was killed before the account was created, or before its password was stored."""
    write_private(tmp_path / "admin.json", json.dumps({"email": FIRST_ADMIN, "password": "of another database"}))
    write_private(tmp_path / "admin.json.new", json.dumps({"email": FIRST_ADMIN, "password": "was never used"}))
    made = await ensure_first_admin(database, MASTER_KEYS, tmp_path)
    assert made == await password_in(tmp_path, server)
    assert made is not None
    (tmp_path / "admin.json").rename(tmp_path / "admin.json.new")
    assert await ensure_first_admin(database, MASTER_KEYS, tmp_path) == made
    assert await password_in(tmp_path, server) == made
    write_private(tmp_path / "admin.json.new", json.dumps({"email": FIRST_ADMIN, "password": "of a lost race"}))
    assert await ensure_first_admin(database, MASTER_KEYS, tmp_path) is None
    assert await password_in(tmp_path, server) == made
    assert names_in(tmp_path) == ["admin.json"]


async def test_a_taken_address_leaves_no_password_behind(database: Database, tmp_path: Path) -> None:
    """If another account has the first admin's address, the line says how to create an admin."""
    identity = build_identity(database.store(IDENTITY), MASTER_KEYS, permissions())
    await identity.accounts.create(FIRST_ADMIN, "correct horse battery", "", [], ChangeContext(NOBODY, "test", now()))
    identity.passwords.close()
    with pytest.raises(Failure, match=f"{FIRST_ADMIN} is another account; make one with: backroom admin create-user"):
        await ensure_first_admin(database, MASTER_KEYS, tmp_path)
    assert names_in(tmp_path) == []


def test_an_empty_master_key_is_replaced_if_nothing_was_sealed(tmp_path: Path) -> None:
    """As a full disk left it behind, before there was a database."""
    (tmp_path / "master.key").touch()
    settings = settings_of({"BACKROOM_DATA_DIR": str(tmp_path)})
    assert master_keys(settings).audit_key == master_keys(settings).audit_key
    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"eHh4", b"\xff\xfe"], ids=["empty", "half", "no text"])
def test_a_lost_master_key_is_reported_if_something_was_sealed(tmp_path: Path, content: bytes) -> None:
    """Another one would open nothing: the file is not changed."""
    EmbeddedPostgres(tmp_path / "postgres", durable=False).stop()
    (tmp_path / "master.key").write_bytes(content)
    with pytest.raises(Failure, match="has no master key, and the database next to it was sealed with one; put") as no:
        master_keys(settings_of({"BACKROOM_DATA_DIR": str(tmp_path)}))
    assert str(no.value).startswith(str(tmp_path / "master.key"))
    assert (tmp_path / "master.key").read_bytes() == content


def test_two_processes_that_store_a_file_agree_on_one(tmp_path: Path) -> None:
    """The first one's."""
    assert write_private_once(tmp_path / "key", "first") == "first\n"
    assert write_private_once(tmp_path / "key", "second") == "first\n"
    assert names_in(tmp_path) == ["key"]


def test_a_file_is_written_completely_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk fails in the middle, it has its earlier content, and no other file is left."""
    write_private(tmp_path / "key", "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (write_private, write_private_once):
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / "key", "new")
    assert (tmp_path / "key").read_text() == "old\n"
    assert names_in(tmp_path) == ["key"]


def test_a_half_written_sandbox_file_is_ignored(tmp_path: Path) -> None:
    """No command fails because of it."""
    (tmp_path / "sandbox.json").write_text('{"url": "http')
    assert running_sandbox(settings_of({"BACKROOM_DATA_DIR": str(tmp_path)})) is None
