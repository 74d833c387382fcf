"""The server that a command calls: the one that runs, or one that it starts for its own duration."""

import asyncio
import json
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from backroom_client import Tls
from server.process.failure import Failure
from server.process.program import this_program
from server.settings import Settings

_READY_SECONDS = 120.0
"""In seconds; the first start makes and migrates a database."""
_STOP_SECONDS = 60.0
_LAST_LINES = 20


@asynccontextmanager
async def target_server(configured: Settings, before: Callable[[bool], None] = lambda _: None) -> AsyncIterator[str]:
    """The address of the server that runs, or of one that runs as long as the block.

    `before` is called first, with whether one answers, and may raise.
    """
    address = str(configured.grpc_address)
    tls = tls_of(configured)
    status = await _readiness(address, tls)
    before(status is not None)
    if status == HealthCheckResponse.SERVING:
        yield address
    elif status is not None:
        raise Failure(f"the server at {address} is not ready; backroom doctor says more")
    else:
        print(f"no server answers on {address}: starting one for this command")
        async with _own_server() as own:
            yield own


@asynccontextmanager
async def _own_server() -> AsyncIterator[str]:
    """The address of a `backroom serve` with the settings of this process, but for its ports, which are free ones."""
    ports = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:0", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:0"}
    process = await asyncio.create_subprocess_exec(
        *this_program("serve"),
        env={**os.environ, **ports, "LOG_FORMAT": "json", "LOG_LEVEL": "INFO"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        # Ctrl-C is this command's to handle: the server stops when the command is done with it.
        start_new_session=True,
    )
    last: deque[str] = deque(maxlen=_LAST_LINES)
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    reading = asyncio.create_task(_read(process, last, port))
    try:
        yield f"127.0.0.1:{await _within(port, last)}"
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
        await reading


async def _within(port: "asyncio.Future[int]", last: "deque[str]") -> int:
    try:
        return await asyncio.wait_for(port, _READY_SECONDS)
    except TimeoutError:
        raise Failure("the server that was started does not become ready:\n" + "".join(last)) from None


async def _read(process: asyncio.subprocess.Process, last: "deque[str]", port: "asyncio.Future[int]") -> None:
    """Reads the server's log to its end: its port once it is ready, and its last lines in case it never is."""
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    serving: int | None = None
    ready = False
    async for raw in process.stderr:
        line = raw.decode(errors="replace")
        last.append(line)
        event = json.loads(line) if line.startswith("{") else {}
        ready |= event.get("event") == "ready"
        serving = event.get("grpc_port", serving)
        if port.done():
            continue
        if event.get("event") == "not_ready":
            port.set_exception(Failure(f"the server that was started is not ready: {event.get('why')}"))
        elif ready and serving:
            port.set_result(serving)
    if not port.done():
        port.set_exception(Failure(_end_reason(last)))


def _end_reason(last: "deque[str]") -> str:
    """What it said itself where that is why, as this command would have said it."""
    ours, said, why = last[-1].partition("backroom: ") if last else ("", "", "")
    if said and not ours:
        return why.rstrip()
    return "the server that was started ended:\n" + "".join(last).rstrip()


async def _readiness(address: str, tls: Tls | None) -> int | None:
    """The server's readiness; None where none answers, which is said at once: the client would try again."""
    options: list[tuple[str, Any]] = [("grpc.enable_retries", 0)]
    if tls is None:
        opened = grpc.aio.insecure_channel(address, options)
    else:
        opened = grpc.aio.secure_channel(address, tls.credentials(), [*options, *tls.options()])
    async with opened as channel:
        health: Any = HealthStub(channel)
        try:
            status: int = (await health.Check(HealthCheckRequest(service="readiness"), timeout=2)).status
        except grpc.aio.AioRpcError:
            return None
    return status


def tls_of(configured: Settings) -> Tls | None:
    """How a command calls the server of these settings; None means in plain text."""
    if not (configured.tls_ca or configured.tls_certificate):
        return None
    certificate, key = configured.tls_caller_certificate, configured.tls_caller_key
    return Tls(
        ca=_contents("BACKROOM_TLS_CA", configured.tls_ca),
        certificate=_contents("BACKROOM_TLS_CALLER_CERTIFICATE", certificate),
        key=_contents("BACKROOM_TLS_CALLER_KEY", key),
        server_name=configured.tls_server_name,
    )


def _contents(setting: str, path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise Failure(f"{setting}: {path}: {error.strerror}") from None
