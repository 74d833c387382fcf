"""Checks a server's health until it is stopped, and prints how long each response took, in seconds."""

import asyncio
import signal
import sys
from contextlib import suppress
from time import perf_counter

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest

from backroom_client import AsyncBackroom

TIMEOUT_SECONDS = 5.0
"""In seconds; a failed check counts as one that took this long."""
_POLL_SECONDS = 0.1


async def probe(address: str) -> None:
    """Checks health at intervals, on a separate connection, and prints how long each response took."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with AsyncBackroom(address) as backroom, asyncio.TaskGroup() as checks:
        while not stop.is_set():
            checks.create_task(_check(backroom))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _POLL_SECONDS)


async def _check(backroom: AsyncBackroom) -> None:
    began = perf_counter()
    try:
        await backroom.health.Check(HealthCheckRequest(service="readiness"), timeout=TIMEOUT_SECONDS)
        print(perf_counter() - began, flush=True)
    except grpc.aio.AioRpcError:
        print(TIMEOUT_SECONDS, flush=True)


if __name__ == "__main__":
    asyncio.run(probe(sys.argv[1]))
