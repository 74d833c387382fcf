"""A body costs a server little more than it costs the sender."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from load.cpu import cpu_of
from storage.database import Database
from tests.contract.probes import checked
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.processes import serving
from tests.fixtures.servers import sign_in
from tests.frame.bodies import BODIES, Body

MAX_MEGABYTES = 100
MAX_SECONDS = 2.0
"""The longest wait of a probe on a busy machine; it was 21.8 s."""
EXPECTED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def megabytes(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


async def answered(channel: grpc.aio.Channel, body: Body, token: str) -> Any:
    """The code of the response to one call."""
    metadata = (("authorization", f"Bearer {token}"),) if body.token else ()
    call: Any = channel.unary_stream(body.path)
    try:
        return [answer async for answer in call(body.content, metadata=metadata, timeout=60)]
    except grpc.aio.AioRpcError as error:
        return error.code()


@asynccontextmanager
async def probed(channel: grpc.aio.Channel, pid: int) -> AsyncIterator[list[float]]:
    """The CPU seconds of the server while each probe waited; the probes are sent one after another meanwhile."""
    worked = cpu_of(pid)
    waited: list[float] = []

    async def probe() -> None:
        while True:
            began = worked()
            await checked(channel, "liveness")
            waited.append(worked() - began)
            await asyncio.sleep(0.01)

    probing = asyncio.create_task(probe())
    try:
        yield waited
        await asyncio.sleep(0.05)
    finally:
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)


@pytest.mark.slow
async def test_no_body_blocks_the_server_or_exhausts_its_memory(database_url: str, database: Database) -> None:
    """A megabyte of each, all at once over one connection: each is refused, and probes are answered meanwhile."""
    application = application_of(database, QUIET)
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with (
        serving(database_url) as server,
        grpc.aio.insecure_channel(server.address, options=options) as attacking,
        grpc.aio.insecure_channel(server.address, options=options) as probing,
    ):
        token = (await sign_in(application, attacking, ["customer"])).token or ""
        pid = server.process.pid
        await asyncio.gather(*(answered(attacking, BODIES["100 empty lines"], token) for _ in range(50)))
        for name, body in BODIES.items():
            reset_peak(pid)
            before = megabytes(pid, "VmRSS")
            async with probed(probing, pid) as waited:
                codes = set(await asyncio.gather(*(answered(attacking, body, token) for _ in range(body.times))))
            assert codes <= EXPECTED, (name, codes)
            assert megabytes(pid, "VmHWM") - before < MAX_MEGABYTES, name
            assert max(waited) < MAX_SECONDS, name
