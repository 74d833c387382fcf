"""How long a server takes to start on an existing database, until it is ready."""

import asyncio
import os
import time
from pathlib import Path

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from backroom_client import AsyncBackroom
from bench.row import LIMIT, Row, row
from bench.setting import Bench

SLOWEST_SECONDS = 1.5

_READY_SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


class NeverReady(Exception):
    """The server answered the health watch to its end without becoming ready."""


async def starting(bench: Bench) -> list[Row]:
    """From the start of the process to the health service's SERVING for "readiness"."""
    database = bench.database("starting")
    taken = []
    for _ in range(bench.rounds * 2 + 1):
        async with bench.backroom(database) as server:
            await _ready(server.address)
            taken.append(time.clock_gettime(time.CLOCK_BOOTTIME) - _started(server.pid))
    measured = "Start on an existing database, from the start of the process to readiness"
    beside_limit = [(seconds, SLOWEST_SECONDS) for seconds in taken]
    return [row(measured, "s", beside_limit, against=LIMIT, goal=1.0, lower_is_better=True)]


async def _ready(address: str) -> None:
    """Returns once the server is ready; raises TimeoutError, or NeverReady if the watch ends before."""
    async with asyncio.timeout(_READY_SECONDS), AsyncBackroom(address) as backroom:
        async for answer in backroom.health.Watch(HealthCheckRequest(service="readiness")):
            if answer.status == HealthCheckResponse.SERVING:
                return
    raise NeverReady


def _started(pid: int) -> float:
    """When the kernel started the process, in seconds since boot; to a hundredth."""
    # The name before the last parenthesis may contain spaces and parentheses; see proc(5).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / _TICKS
