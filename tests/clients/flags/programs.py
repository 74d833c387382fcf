"""A client in a process of its own: what it is asked, and what it says by itself."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SECONDS = 60.0
"""For whatever a client is to do: the machine may be busy."""


@dataclass
class Client:
    """A program that evaluates flags by a provider."""

    process: asyncio.subprocess.Process
    said: list[dict[str, Any]] = field(default_factory=list)
    """Every line of it, in order."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    answers: int = 0
    """How many were read."""

    async def ask(self, key: str, kind: str, default: Any, **context: Any) -> dict[str, Any]:
        """What a flag is there: value, reason, variant, error and metadata."""
        assert self.process.stdin is not None
        command = {"key": key, "type": kind, "default": default, "context": context}
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        await self.process.stdin.drain()
        self.answers += 1
        await self.until(lambda: len(self._answers()) >= self.answers)
        return dict(self._answers()[self.answers - 1])

    async def until_told_of(self, event: str, since: int) -> None:
        """Returns once it told of such an event, behind so many lines."""
        await self.until(lambda: any(each.get("event") == event for each in self.said[since:]))

    async def until_told(self, key: str, since: int) -> None:
        """Returns once it was told of a change of this flag, behind so many lines."""
        await self.until(
            lambda: any(
                each.get("event") == "PROVIDER_CONFIGURATION_CHANGED" and key in (each.get("flags") or ())
                for each in self.said[since:]
            )
        )

    async def until(self, holds: Callable[[], bool]) -> None:
        """Returns once it has said so much that this holds."""
        try:
            async with asyncio.timeout(_SECONDS), self.changed:
                await self.changed.wait_for(lambda: holds() or self.process.returncode is not None)
        except TimeoutError:
            raise AssertionError(self.said[-20:]) from None
        assert holds(), self.said[-20:]

    def _answers(self) -> list[dict[str, Any]]:
        return [each["answer"] for each in self.said if "answer" in each]

    async def read(self) -> None:
        """Reads what it says, until it ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self.changed:
                # Libraries may write what they like.
                self.said.append(json.loads(line) if line.startswith(b"{") else {"text": line.decode()})
                self.changed.notify_all()
        await self.process.wait()
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def client_of(*command: str | Path, cwd: Path, settings: dict[str, Any]) -> AsyncIterator[Client]:
    """A client that is ready; it is ended with the block."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, "CLIENT": json.dumps(settings)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    client = Client(process)
    reading = asyncio.create_task(client.read())
    try:
        await client.until(lambda: any("ready" in each for each in client.said))
        yield client
    finally:
        if process.returncode is None:
            process.kill()
        await reading
