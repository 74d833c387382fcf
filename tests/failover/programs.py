"""Backroom's own programs as operators run them, which may be killed and restarted at the same address."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.failover.waiting import now
from tests.fixtures.postgres_nodes import free_port

_READY_WITHIN_SECONDS = 90.0
_STOPS_WITHIN_SECONDS = 60.0
_QUIET = {"info", "debug"}


@dataclass(frozen=True)
class Line:
    """A line above INFO, or one that is not Backroom's."""

    at: float
    text: str
    ours: bool


class Program:
    """`backroom serve` or `backroom worker`, with all its child processes, in a separate process group."""

    def __init__(self, *arguments: str, ready: str, environment: Mapping[str, str]) -> None:
        """`ready` is the log event by which it reports that it works."""
        self.lines: list[Line] = []
        self._arguments = arguments
        self._ready = ready
        self._environment = {**os.environ, **environment}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers = asyncio.Event()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Returns once it works."""
        self._answers.clear()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server", *self._arguments),
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._reading = asyncio.create_task(self._read(self._process))
        answering = asyncio.create_task(self._answers.wait())
        await asyncio.wait(
            [answering, self._reading], timeout=_READY_WITHIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        answering.cancel()
        assert self._answers.is_set(), f"{self._arguments} does not begin: {[line.text for line in self.lines[-5:]]}"

    async def stop(self) -> int:
        """Stops it with SIGTERM, and returns its exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self._process.wait(), _STOPS_WITHIN_SECONDS)
        await self._ended()
        return code

    async def kill(self) -> None:
        """Kills it and all its child processes."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._ended()

    async def _ended(self) -> None:
        if self._reading is not None:
            await self._reading
            self._reading = None
        self._process = None

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for raw in process.stderr:
            line = _parsed(raw)
            if line.get("event") == self._ready:
                self._answers.set()
            if line.get("level") not in _QUIET:
                text = raw.decode(errors="replace").strip()
                # A library's line has its logger's name; a line that is not JSON bypassed the log.
                self.lines.append(Line(now(), text, ours=bool(line) and "logger" not in line))


class Server(Program):
    """`backroom serve`, at fixed addresses."""

    def __init__(self, *options: str, environment: Mapping[str, str]) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        """Where calls are answered."""
        place = f"127.0.0.1:{free_port()}"
        self.web = f"http://{place}"
        """The address of its HTTP side."""
        places = {"BACKROOM_GRPC_ADDRESS": self.address, "BACKROOM_HTTP_ADDRESS": place}
        super().__init__("serve", *options, ready="serving", environment={**environment, **places})


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(raw)) if raw.startswith(b"{") else {}
    except ValueError:
        return {}
