"""Files that the commands write are readable only by their owner."""

import asyncio
import stat
from pathlib import Path

import grpc
import pytest

from storage.embedded.postmaster import read_postmaster
from tests.cli.test_doctor import row
from tests.fixtures.processes import serving
from tests.fixtures.servers import Api
from tests.fixtures.trading import eventually
from tests.identity.people import registering
from tests.process.commands import backroom, backroom_here

FREE = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:1", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:1", "COLUMNS": "300"}


def shared(folder: Path) -> dict[str, str]:
    """Everything in a folder, including itself, that other users may read, write or enter, with its mode."""
    found = [folder, *folder.rglob("*")]
    modes = {str(each.relative_to(folder.parent)): each.lstat().st_mode for each in found if not each.is_symlink()}
    return {name: stat.filemode(mode) for name, mode in modes.items() if stat.S_IMODE(mode) & 0o077}


@pytest.mark.slow
async def test_a_first_start_shares_no_file_and_no_socket(tmp_path: Path) -> None:
    """Database, keys, sandbox, log and mails, under the usual umask; the socket of a long path is elsewhere."""
    data = tmp_path / ("long" * 30) / "data"
    async with (
        serving("", BACKROOM_MASTER_KEY="", BACKROOM_DATA_DIR=str(data)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        await Api(channel).identity.Register(registering())
        await eventually(lambda: asyncio.sleep(0, list((data / "outbox").glob("*.eml"))), bool)
        names = {each.name for each in data.rglob("*")}
        assert names >= {"master.key", "admin.json", "sandbox.json", "sandbox.sqlite", "PG_VERSION"}
        assert shared(data) == {}
        found = read_postmaster(data / "postgres")
        assert found is not None
        assert found.socket_folder is not None
        assert found.socket_folder.name.startswith("backroom-socket-")
        assert ".s.PGSQL.5432" in {each.name for each in found.socket_folder.iterdir()}
        assert shared(found.socket_folder) == {}


@pytest.mark.slow
async def test_a_command_creates_its_folder_for_its_owner_only(tmp_path: Path) -> None:
    """Whichever command is the first, even one that only lists."""
    data = tmp_path / "data"
    assert (await backroom("jobs", BACKROOM_DATA_DIR=str(data))).code == 0
    assert shared(data) == {}


def test_the_doctor_notices_files_that_others_may_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A data folder of an earlier version, with what to do; it is a notice."""
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    finished = backroom_here(capsys, "doctor", BACKROOM_DATA_DIR=str(data), **FREE)
    found = row(finished, "BACKROOM_DATA_DIR")
    assert found.startswith("-")
    assert f"chmod 700 {data}" in found
    data.chmod(0o700)
    assert row(backroom_here(capsys, "doctor", BACKROOM_DATA_DIR=str(data), **FREE), "BACKROOM_DATA_DIR").startswith(
        "✓"
    )


@pytest.mark.parametrize(("mode", "mark"), [(0o644, "-"), (0o640, "-"), (0o600, "✓")])
def test_the_doctor_notices_a_dot_env_that_others_may_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int, mark: str
) -> None:
    """It holds passwords and keys."""
    env = tmp_path / ".env"
    env.write_text("LOG_LEVEL=INFO\n")
    env.chmod(mode)
    finished = backroom_here(capsys, "doctor", within=str(tmp_path), **FREE)
    found = row(finished, ".env")
    assert found.startswith(mark)
    assert ("chmod 600 .env" in found) == (mark == "-")
