"""The data folder: made whole or not at all."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from storage.embedded.account import Account, reached_by
from storage.embedded.binaries import Binaries, for_initdb
from storage.embedded.errors import EmbeddedPostgresFailed
from storage.embedded.locks import FileLock
from storage.embedded.programs import complaint, environment

_LAST_MADE = "base/5"
"""The database `postgres`, which initdb makes at its end."""
_LOCALES = {
    # The same order and the same letters on every machine, whatever languages are installed there.
    16: ("--locale=C",),
    18: ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
}


def contains_data(data: Path) -> bool:
    """Whether there is anything that must not be lost; where it cannot be told, there is."""
    try:
        return version_of(data) is not None
    except (EmbeddedPostgresFailed, OSError):
        return True


def version_of(data: Path) -> int | None:
    """The major version that a data folder is of; None where nothing is in it, or what initdb left unfinished.

    Raises EmbeddedPostgresFailed where it holds something else.
    """
    if not data.exists() or (data.is_dir() and not any(data.iterdir())):
        return None
    try:
        text = (data / "PG_VERSION").read_text().strip()
        version = int(text or 0)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise EmbeddedPostgresFailed(
            f"{data} holds something else than PostgreSQL's data; choose another folder"
        ) from None
    return version if (data / "global" / "pg_control").exists() and (data / _LAST_MADE).is_dir() else None


def make(data: Path, binaries: Binaries, account: Account, lock: FileLock, *, durable: bool) -> None:
    """Makes a data folder where there is none; one that initdb left unfinished is put aside, and not deleted.

    It is made beside and takes its place when it is whole. An initdb that outlives this process keeps the lock.
    """
    _clear(data)
    beside = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
    try:
        account.own(beside)
        with for_initdb(binaries) as able:
            _initdb(beside, able, account, lock, durable=durable)
        if data.exists() and any(data.iterdir()):
            data.rename(_aside(data))
        beside.rename(data)
        if durable:
            _sync(data.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _initdb(data: Path, binaries: Binaries, account: Account, lock: FileLock, *, durable: bool) -> None:
    program, sync = str(binaries.program("initdb")), () if durable else ("--no-sync",)
    options = ("--auth=trust", "--encoding=UTF8", "--username=postgres", "--no-instructions", "-D", str(data))
    command = account.command(
        [program, *options, *_LOCALES[binaries.version], *sync], [*reached_by(binaries), data.parent]
    )
    ended = subprocess.run(  # noqa: S603 - the program of the package
        command,
        cwd="/",
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        umask=0o077,
        pass_fds=[lock.fileno()],
        start_new_session=True,
        check=False,
    )
    if ended.returncode != 0:
        why = complaint(ended.stderr or ended.stdout)
        raise EmbeddedPostgresFailed(f"PostgreSQL's data cannot be made in {data.parent}: {why}")


def _clear(data: Path) -> None:
    """Removes what earlier attempts left beside; the lock is ours, so nobody works on it any more."""
    for left in data.parent.glob(f"{data.name}.new-*"):
        shutil.rmtree(left, ignore_errors=True)


def _aside(data: Path) -> Path:
    number = 1
    while (aside := data.with_name(f"{data.name}.unfinished-{number}")).exists():
        number += 1
    return aside


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
