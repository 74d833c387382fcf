"""As root, PostgreSQL runs as another user with as few privileges as possible."""

import grp
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from storage.embedded import EmbeddedPostgres
from storage.embedded.account import account_for
from storage.embedded.postmaster import read_postmaster
from tests.storage.embedded.users import CAP_DAC_READ_SEARCH, end, nobody, none_left, servers_of, using

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user"),
]


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that only root may enter, as root's home is."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    yield folder
    end(servers_of(tmp_path))


def users() -> set[str]:
    return {entry.pw_name for entry in pwd.getpwall()} | {f"group {entry.gr_name}" for entry in grp.getgrall()}


def modes(folder: Path) -> Mapping[Path, tuple[int, int, int]]:
    """The modes of a folder and all those above it, and of those that contain our programs."""
    places = [folder, *folder.parents, Path(sys.executable), *Path(sys.executable).parents]
    return {each: (each.stat().st_mode, each.stat().st_uid, each.stat().st_gid) for each in places}


def status(pid: int) -> Mapping[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}


def test_it_serves_below_a_closed_folder_without_opening_any(closed: Path) -> None:
    """No folder above changes its mode or owner, and no user or group is created."""
    before, there = modes(closed), users()
    used = EmbeddedPostgres(closed / "deep" / "data", durable=False)
    with psycopg.connect(used.url) as connection:
        assert connection.execute("SELECT 42").fetchone() == (42,)
    used.stop()
    assert modes(closed) == before
    assert users() == there
    assert none_left(closed)


def test_its_only_capability_is_to_pass_closed_folders(closed: Path) -> None:
    """It runs as nobody, in none of root's groups, and cannot gain more from programs that it starts."""
    used = EmbeddedPostgres(closed / "data", durable=False)
    running = read_postmaster(closed / "data")
    assert running is not None
    found, entry = status(running.pid), pwd.getpwnam("nobody")
    used.stop()
    assert set(found["Uid"].split()) == {str(entry.pw_uid)}
    assert set(found["Gid"].split()) == {str(entry.pw_gid)}
    assert found["Groups"] == ""
    allowed = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}
    assert {int(found[name], 16) for name in allowed} == {1 << CAP_DAC_READ_SEARCH}
    assert found["NoNewPrivs"] == "1"


def test_without_closed_folders_it_has_no_capability(tmp_path: Path) -> None:
    """Folders that nobody can reach need none."""
    reachable = Path("/usr/bin/env")
    assert account_for(None).command(["/bin/true"], [reachable])[6] == "-1"
    assert account_for(None).command(["/bin/true"], [tmp_path])[6] == str(CAP_DAC_READ_SEARCH)


def test_another_users_data_is_served_as_that_user(closed: Path) -> None:
    """As after a start by an ordinary user, who can start it again afterwards."""
    data = closed / "data"
    EmbeddedPostgres(data, durable=False).stop()
    for path in (data, *data.rglob("*")):
        os.chown(path, 4711, 4711, follow_symlinks=False)
    used = EmbeddedPostgres(data, durable=False)
    running = read_postmaster(data)
    assert running is not None
    assert status(running.pid)["Uid"].split()[0] == "4711"
    used.stop()
    assert data.stat().st_uid == 4711


@pytest.mark.parametrize(
    ("dropped", "missing"),
    [
        ("-dac_read_search,-dac_override", "CAP_DAC_READ_SEARCH or CAP_DAC_OVERRIDE"),
        ("-setuid", "CAP_SETUID"),
    ],
)
def test_a_missing_capability_is_named(tmp_path: Path, dropped: str, missing: str) -> None:
    """In one line, with what to do, as in a container that has none."""
    without = ("/usr/bin/setpriv", "--bounding-set", dropped, "--inh-caps", dropped)
    if subprocess.run([*without, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine has no setpriv, or does not let it drop a capability")
    with using(tmp_path / "data", *without) as user:
        assert user.url() == ""
        (line,) = user.leave().splitlines()
    assert f"lacks the capability {missing}" in line
    assert "run it as an ordinary user, or set DATABASE_URL" in line


def test_dockers_own_capabilities_are_enough(closed: Path) -> None:
    """CAP_DAC_OVERRIDE passes closed folders if CAP_DAC_READ_SEARCH is not available."""
    docker = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+sys_chroot"
    without = ("/usr/bin/setpriv", "--bounding-set", docker, "--inh-caps", "-all")
    if subprocess.run([*without, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine has no setpriv, or does not let it drop a capability")
    with using(closed / "data", *without) as killed:
        url = killed.url()
        assert url
        killed.kill()
    with using(closed / "data", *without) as user:
        assert user.url() == url
        assert user.leave() == ""
    assert none_left(closed)


def test_another_users_folder_is_reported(tmp_path: Path) -> None:
    """With its owner, in one line."""
    data = tmp_path / "data"
    EmbeddedPostgres(data, durable=False).stop()
    os.chown(data, 4711, 4711)
    os.chown(tmp_path, *pwd.getpwnam("nobody")[2:4])
    for path in (data.with_name("data.locks"), *data.with_name("data.locks").iterdir()):
        os.chown(path, *pwd.getpwnam("nobody")[2:4])
    with using(data, *nobody()) as user:
        assert user.url() == ""
        assert user.leave().strip() == (
            f"failed: {data} belongs to the user 4711; run it as that user, or choose a folder of your own"
        )


def test_ordinary_users_need_no_other_user(tmp_path: Path) -> None:
    """Two of them, on one machine, share nothing."""
    os.chown(tmp_path, *pwd.getpwnam("nobody")[2:4])
    EmbeddedPostgres(tmp_path.with_name(f"{tmp_path.name}-roots") / "data", durable=False).stop()
    with using(tmp_path / "data", *nobody()) as user:
        assert user.url()
        running = read_postmaster(tmp_path / "data")
        assert running is not None
        assert status(running.pid)["Uid"].split()[0] == str(pwd.getpwnam("nobody").pw_uid)
        assert user.leave() == ""
    assert none_left(tmp_path)
