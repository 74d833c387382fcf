import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import structlog
import uvloop

from server import settings
from server.cli.failure import Interrupted
from server.cli.fit import fit_to_start
from server.cli.master_key import master_keys, prepared
from server.cli.serving.announcing import announce
from server.cli.serving.built import built
from server.cli.serving.embedded import Surroundings, prepare_embedded, surroundings, tell_sandbox
from server.frame import log
from server.frame.health import Health
from server.frame.sealing import MasterKeys
from server.process.start import warnings
from server.settings import Settings


def serve(*, with_worker: bool = True) -> None:
    """Serves until it is stopped; with a worker, it does the jobs too."""
    configured = settings.read()
    fit_to_start(configured)
    keys = master_keys(configured)
    log.configure(configured.log_level, configured.log_format)
    with surroundings(configured) as beside, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        run_until_stopped(runner, _serve(configured, keys, beside, with_worker=with_worker))


def run_until_stopped(runner: asyncio.Runner, serving: Coroutine[Any, Any, None]) -> None:
    """Raises Interrupted where a second Ctrl-C cut it off."""
    try:
        runner.run(serving)
    except asyncio.CancelledError:
        raise Interrupted("interrupted twice: what was under way was cut off") from None


def stop_asked() -> asyncio.Event:
    """Is set once the process is asked to stop, or its terminal is closed and nobody said to go on then.

    A second Ctrl-C ends what runs in the loop at once.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    running = asyncio.current_task()

    def interrupt() -> None:
        if stop.is_set() and running is not None:
            running.cancel()
        stop.set()

    goes_on = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as nohup has it
    for number in (signal.SIGTERM, *(() if goes_on else (signal.SIGHUP,))):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    return stop


async def _serve(configured: Settings, keys: MasterKeys, beside: Surroundings, *, with_worker: bool) -> None:
    logger = structlog.get_logger()
    stop = stop_asked()
    for warning in warnings(configured):
        logger.warning(warning)
    async with built(configured, keys, beside, logger, with_worker=with_worker) as each:
        server, ports = each.server, (each.server.grpc_port, each.server.http_port)
        password = await prepare_embedded(configured, each.database, keys, beside.url)
        await prepared(each.application, configured)
        await each.start()
        if await ready(each.application.health, stop):
            logger.info("serving", grpc_port=server.grpc_port, http_port=server.http_port)
            await tell_sandbox(configured, beside.sandbox, server.http_port)
            announce(configured, ports, made_admin=password is not None)
            await stop.wait()
        await server.stop()


async def ready(health: Health, stop: asyncio.Event) -> bool:
    """Waits until calls are answered; False where the stop came first."""
    either = [asyncio.create_task(health.ready()), asyncio.create_task(stop.wait())]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    for each in either:
        each.cancel()
    return not stop.is_set()
