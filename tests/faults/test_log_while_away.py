"""What an operator reads during a database outage: a few accurate lines."""

import asyncio
import json
import os
import signal
import time
from contextlib import AsyncExitStack
from typing import Any, Self

import psycopg
import pytest

import migrations
from storage.url import sibling
from tests.faults.cluster import Cluster
from tests.faults.load import until
from tests.fixtures.forking import ForkedProcess, forked
from tests.fixtures.keys import MASTER_KEY


class Process:
    """A `backroom serve`, and its output; it is stopped at the end of the block."""

    def __init__(self, process: ForkedProcess) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self.other: list[str] = []
        """Lines of the log that are not ours."""
        self.screen = ""
        self._reading = [asyncio.create_task(self._read_log()), asyncio.create_task(self._read_screen())]

    async def _read_log(self) -> None:
        async for line in self.process.stderr:
            if line.startswith(b"{"):
                self.log.append({**json.loads(line), "length": len(line)})
            else:
                self.other.append(line.decode())

    async def _read_screen(self) -> None:
        async for line in self.process.stdout:
            self.screen += line.decode()

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == event]

    async def until(self, event: str, count: int = 1) -> None:
        await until(lambda: len(self.of(event)) >= count, within=60)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.process.kill()
        await self.ended()

    async def ended(self) -> int:
        code = await asyncio.wait_for(self.process.wait(), 300)
        await asyncio.gather(*self._reading)
        return code


async def served(database_url: str) -> Process:
    settings = {
        "DATABASE_URL": database_url,
        "BACKROOM_MASTER_KEY": MASTER_KEY,
        "BACKROOM_GRPC_ADDRESS": "127.0.0.1:0",
        "BACKROOM_HTTP_ADDRESS": "127.0.0.1:0",
        "LOG_FORMAT": "json",
    }
    return Process(await forked("server", "serve", environment={**os.environ, **settings}))


@pytest.mark.long
async def test_a_server_waits_for_its_database_and_logs_a_few_lines(cluster: Cluster, database_url: str) -> None:
    """At its start and later: one line at growing intervals, one when it is back; "serves" only once it is ready."""
    async with AsyncExitStack() as stack:
        async with cluster.stopped():
            server = await stack.enter_async_context(await served(database_url))
            await server.until("not_ready", 2)
            assert server.screen == ""
        await server.until("serving")
        async with cluster.stopped():
            began, lines = time.monotonic(), len(server.log)
            await server.until("not_ready", len(server.of("not_ready")) + 3)
            lasted = time.monotonic() - began
            told = server.log[lines:]
        await server.until("ready", 2)
        server.process.send_signal(signal.SIGINT)
        assert await server.ended() == 0
    # That connections ended, and that new ones fail, may each be one line; then the intervals grow.
    assert {line["event"] for line in told} <= {"not_ready", "job"}
    assert lasted > 1
    assert server.screen.count("Backroom serves") == 1
    assert server.other == []
    warned = [line for line in server.log if line["level"] not in ("info", "debug")]
    assert {line["event"] for line in warned} <= {"not_ready", "job"}
    assert max(line["length"] for line in warned) < 500
    assert [line["event"] for line in server.log[-2:]] == ["stopping", "stopped"]


@pytest.mark.long
async def test_a_server_on_a_database_that_is_not_migrated_reports_only_that(cluster: Cluster) -> None:
    """With what to do, and without the consequences."""
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE unmigrated")
    async with await served(sibling(cluster.url, "unmigrated")) as server:
        await server.until("not_ready", 3)
        server.process.send_signal(signal.SIGINT)
        assert await server.ended() == 0
    warned = [line for line in server.log if line["level"] != "info"]
    assert {(line["event"], line["why"]) for line in warned} == {("not_ready", str(migrations.migration_problem(None)))}
    assert server.other == []
