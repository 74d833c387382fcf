"""One of several servers on the same ports, in the process that a supervisor started for it."""

import asyncio
import socket
import sys
from contextlib import suppress
from functools import partial

import structlog
import uvloop

from server import settings
from server.frame import log
from server.process.built import collect_from_here_on, opened_server
from server.process.data_dir.master_key import master_keys, prepared
from server.process.data_dir.own_sandbox import Sandbox, with_sandbox
from server.process.failure import Failure
from server.process.http.metrics import rendered
from server.process.server import Server, Shared
from server.process.stopping import ready, run_until_stopped, stop_requested
from server.process.workers.channel import Assignment, WorkerChannel
from server.process.workers.jobs import do_jobs
from server.settings import Address, Settings


def serving_process() -> None:
    """Serves until it is stopped, or its supervisor is gone, to whom standard input is the line."""
    configured = settings.read()
    log.configure(configured.log_level, configured.log_format)
    try:
        end = socket.socket(fileno=sys.stdin.fileno())
    except OSError:
        raise Failure("a serving process is started by: backroom serve --workers") from None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        run_until_stopped(runner, _serve_channel(configured, end))


async def _serve_channel(configured: Settings, end: socket.socket) -> None:
    channel, stop = await WorkerChannel.open(end), stop_requested()
    talking = asyncio.create_task(channel.run())
    talking.add_done_callback(lambda _: stop.set())
    try:
        assigned = Assignment.read(await channel.request("assignment"))
    except ConnectionError:
        raise Failure("the supervisor is gone") from None
    try:
        configured = with_sandbox(configured, Sandbox(**assigned.sandbox) if assigned.sandbox else None)
        await (_serve if assigned.serves else do_jobs)(configured, assigned, channel, stop)
    except Failure as failure:
        with suppress(ConnectionError):  # it is gone, and so is whoever would get the message
            await channel.request("refusing", str(failure))
        sys.exit(1)


async def _serve(configured: Settings, assigned: Assignment, channel: WorkerChannel, stop: asyncio.Event) -> None:
    addresses = {"grpc_address": Address(assigned.grpc_address), "http_address": Address(assigned.http_address)}
    configured = configured.model_copy(update=addresses)
    metrics_socket = None if assigned.metrics_socket is None else socket.socket(fileno=assigned.metrics_socket)
    shared = Shared(socket.socket(fileno=assigned.http_socket), partial(channel.request, "metrics"), metrics_socket)
    logger = structlog.get_logger().bind(worker=assigned.number)
    keys, url = master_keys(configured), assigned.database_url
    further = {name: Address(text) for name, text in assigned.further_grpc.items()}
    opening = opened_server(configured, url, keys, logger, with_worker=False, shared=shared, further=further)
    async with opening as server:
        await prepared(server.application, configured)
        await server.start()
        collect_from_here_on()
        channel.answer("metrics", partial(_metrics, server))
        with suppress(ConnectionError):  # it is gone, and the stop is requested
            await channel.request("serving")
            if await ready(server.application.health, stop):
                await channel.request("ready")
        await stop.wait()
        await server.stop()


async def _metrics(server: Server, _: str) -> str:
    return await rendered(server.application.registry)()
