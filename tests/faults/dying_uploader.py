"""A server that is killed at a given point of an upload, as by a power cut: run as a separate process.

python -m tests.faults.dying_uploader DATABASE_URL FOLDER MOMENT POINT COUNT

It dies "before" or "after" the POINT for the COUNTth time. With the POINT "delete", it serves nothing, and deletes the
objects that were let go of.
"""

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import uvloop

from server.files.blobs import folder
from server.files.blobs.folder import FolderBlobs
from server.files.service import Assembling, Receiving, Uploads
from storage.database import Database
from storage.files.repository import ObjectRepository
from tests.files.calling import Behind
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.servers import quick_passwords, running

_POINTS: Mapping[str, tuple[Any, str]] = {
    "append": (folder._Writing, "append"),
    "finish": (folder._Writing, "finish"),
    "rename": (Path, "rename"),
    "sync": (folder, "_sync"),
    "record": (Receiving, "_record"),
    "join": (FolderBlobs, "join"),
    "assemble": (Assembling, "assemble"),
    # Within the transaction that completes an upload, and once that has committed.
    "complete": (Uploads, "_complete"),
    "committed": (Assembling, "forget"),
    "delete": (FolderBlobs, "delete"),
    "forget": (ObjectRepository, "forget"),
}


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def die_at(moment: str, point: str, count: int) -> None:
    """Has a function do what it does, until it was called so often."""
    owner, name = _POINTS[point]
    work: Callable[..., Any] = getattr(owner, name)
    left = count

    def is_last() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    if inspect.iscoroutinefunction(work):

        async def dying(*given: Any, **named: Any) -> Any:
            last = is_last()
            if last and moment == "before":
                die()
            done = await work(*given, **named)
            return die() if last else done

    else:

        def dying(*given: Any, **named: Any) -> Any:  # type: ignore[misc]  # the other kind of function
            last = is_last()
            if last and moment == "before":
                die()
            done = work(*given, **named)
            return die() if last else done

    setattr(owner, name, wraps(work)(dying))


async def main(database_url: str, place: str, moment: str, point: str, count: str) -> None:
    database = Database(database_url, audit_key=MASTER_KEYS.audit_key)
    die_at(moment, point, int(count))
    if point in ("delete", "forget"):
        await Behind(database, folder=Path(place)).sweeping.delete_objects()
        return
    async with running(database, files_storage=place, passwords=quick_passwords()) as server:
        print(server.server.grpc_port, flush=True)  # noqa: T201 - for who started it
        await asyncio.Event().wait()


if __name__ == "__main__":
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
