import asyncio

import structlog
import uvloop

from server import settings
from server.cli.welcome import print_welcome
from server.frame import log
from server.frame.sealing import MasterKeys
from server.process.built import collect_from_here_on, opened_server
from server.process.data_dir.master_key import master_keys, prepared
from server.process.data_dir.own_sandbox import with_sandbox
from server.process.local_services import LocalServices, connect_sandbox, local_services, prepare_embedded
from server.process.start import check_startable, warnings
from server.process.stopping import ready, run_until_stopped, stop_requested
from server.settings import Settings


def serve(*, with_worker: bool = True) -> None:
    """Serves until it is stopped; with a worker, it does the jobs too."""
    configured = settings.read()
    check_startable(configured)
    keys = master_keys(configured)
    log.configure(configured.log_level, configured.log_format)
    with local_services(configured) as local, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        run_until_stopped(runner, _serve(configured, keys, local, with_worker=with_worker))


async def _serve(configured: Settings, keys: MasterKeys, local: LocalServices, *, with_worker: bool) -> None:
    logger = structlog.get_logger()
    stop = stop_requested()
    for warning in warnings(configured):
        logger.warning("insecure_setting", why=warning)
    configured = with_sandbox(configured, local.sandbox)
    async with opened_server(configured, local.url, keys, logger, with_worker=with_worker) as server:
        application, ports = server.application, (server.grpc_port, server.http_port)
        password = await prepare_embedded(configured, application.database, keys, local.url)
        await prepared(application, configured)
        await server.start()
        collect_from_here_on()
        if await ready(application.health, stop):
            further = {"further_grpc_ports": server.further_grpc_ports} if server.further_grpc_ports else {}
            logger.info("serving", grpc_port=server.grpc_port, http_port=server.http_port, **further)
            await connect_sandbox(configured, local.sandbox, server.http_port)
            print_welcome(configured, ports, made_admin=password is not None)
            await stop.wait()
        await server.stop()
