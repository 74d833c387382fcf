"""A server for tests and measurements."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.embedded.server import EmbeddedPostgres

_ROOM_BYTES = 4 * 1024**3


@contextmanager
def temporary_postgres(*, durable: bool = False, version: int | None = None) -> Iterator[str]:
    """The URL of a server of one's own, gone with all its data at the end of the block.

    It does not wait for the disk unless it is to be durable. `version` is the major one; None is the newest.
    """
    folder = Path(tempfile.mkdtemp(prefix="backroom-postgres-", dir=None if durable else memory_folder()))
    try:
        server = EmbeddedPostgres(folder / "data", version=version, durable=durable)
        try:
            yield server.url
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def memory_folder() -> Path | None:
    """A folder in memory, where there is one with enough room: making databases is ten times as fast there."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it is made by mkdtemp
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_BYTES else None
