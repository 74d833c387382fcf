"""A worker that is killed at a given point, as by a power cut: run as a separate process.

python -m tests.faults.dying_worker DATABASE_URL SANDBOX_URL SANDBOX_KEY POINT

POINT is "before" or "after" and a call of the provider, such as "after capture"; or "stored" and a number of
applied reports, such as "stored 2"; or "erased" and a number of parts of a person's data.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

import uvloop

from server.commerce.providers import sandbox
from server.commerce.providers.sandbox import SandboxProvider
from server.commerce.rules.settling import Settled
from server.commerce.service.settling import Reported, Settling
from server.frame.errors import Refusal
from server.frame.jobs import Worker
from server.frame.personal_data import DeclaredPersonalData, Erasure
from storage.database import Database
from tests.fixtures.applications import QUIET, application_of, paying_by
from tests.fixtures.keys import MASTER_KEYS

STEPS = ("authorize", "capture", "void", "refund")


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class DyingProvider(SandboxProvider):
    """The real provider, in a process that dies before a call, or before its response."""

    point = ""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return _dying(found, name, super().__getattribute__("point")) if name in STEPS else found


def _dying(request: Callable[..., Awaitable[Any]], step: str, point: str) -> Callable[..., Awaitable[Any]]:
    async def asked(*args: Any, **rest: Any) -> Any:
        if point == f"before {step}":
            die()
        report = await request(*args, **rest)
        if point == f"after {step}":
            die()
        return report

    return asked


def die_when_stored(count: int) -> None:
    """Reports are applied as usual; once this many are committed, the process dies."""
    settle = Settling.settle
    left = count

    async def dying(self: Settling, requests: Sequence[Reported]) -> Sequence[Settled | Refusal]:
        nonlocal left
        answers = await settle(self, requests)
        left -= len(requests)
        if not left:
            die()
        return answers

    Settling.settle = dying  # type: ignore[method-assign]


def die_when_erased(count: int) -> None:
    """Parts of a person's data are erased as usual; once this many are, the process dies, before that is marked."""
    erase = DeclaredPersonalData.erase
    left = count

    async def dying(self: DeclaredPersonalData, erasure: Erasure) -> None:
        nonlocal left
        await erase(self, erasure)
        left -= 1
        if not left:
            die()

    DeclaredPersonalData.erase = dying  # type: ignore[method-assign]


async def main(database_url: str, sandbox_url: str, key: str, point: str) -> None:
    sandbox.SandboxProvider = DyingProvider  # type: ignore[misc]  # by which the application asks it
    DyingProvider.point = point
    if point.startswith("stored "):
        die_when_stored(int(point.removeprefix("stored ")))
    if point.startswith("erased "):
        die_when_erased(int(point.removeprefix("erased ")))
    database = Database(database_url, audit_key=MASTER_KEYS.audit_key)
    application = application_of(database, QUIET, **paying_by(sandbox_url, key))
    Worker(database_url, application.tasks, QUIET, application.registry).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
