import asyncio
import signal
import time

import structlog
import uvloop

from server import settings
from server.cli.fit import fit_to_start
from server.cli.master_key import master_keys, prepared
from server.cli.serving.announcing import announce
from server.cli.serving.built import built
from server.cli.serving.embedded import Surroundings, prepare_embedded, surroundings, tell_sandbox
from server.edge.start import warnings
from server.frame import log
from server.frame.sealing import MasterKeys
from server.settings import Settings


def serve(*, with_worker: bool = True) -> None:
    """Serves until it is stopped; with a worker, it does the jobs too."""
    configured = settings.read()
    fit_to_start(configured)
    keys = master_keys(configured)
    log.configure(configured.log_level, configured.log_format)
    with surroundings(configured) as beside, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(configured, keys, beside, with_worker=with_worker))


def stop_asked() -> asyncio.Event:
    """Is set once the process is asked to stop, or its terminal is closed and nobody said to go on then."""
    stop = asyncio.Event()
    goes_on = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as nohup has it
    for number in (signal.SIGTERM, signal.SIGINT, *(() if goes_on else (signal.SIGHUP,))):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _serve(configured: Settings, keys: MasterKeys, beside: Surroundings, *, with_worker: bool) -> None:
    began = time.perf_counter()
    logger = structlog.get_logger()
    stop = stop_asked()
    for warning in warnings(configured):
        logger.warning(warning)
    async with built(configured, keys, beside, logger, with_worker=with_worker) as each:
        server, ports = each.server, (each.server.grpc_port, each.server.http_port)
        password = await prepare_embedded(configured, each.database, keys, beside.url)
        await prepared(each.application, configured)
        await each.start()
        logger.info("serving", grpc_port=server.grpc_port, http_port=server.http_port)
        await tell_sandbox(configured, beside.sandbox, server.http_port)
        announce(configured, ports, password, time.perf_counter() - began)
        await stop.wait()
        await server.stop()
