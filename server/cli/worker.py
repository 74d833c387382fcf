import asyncio

import structlog
import uvloop

from server import settings
from server.frame import log
from server.frame.sealing import MasterKeys
from server.process.built import collect_from_here_on, opened_application, worker_of
from server.process.data_dir.master_key import master_keys, prepared
from server.process.data_dir.own_sandbox import with_running_sandbox
from server.process.database import database_url, migrated
from server.process.start import check_startable
from server.process.stopping import run_until_stopped, stop_requested
from server.settings import Settings


def worker() -> None:
    """Does jobs until it is stopped."""
    configured = settings.read()
    check_startable(configured, listens=False)
    keys = master_keys(configured)
    log.configure(configured.log_level, configured.log_format)
    with database_url(configured) as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        run_until_stopped(runner, _work(configured, url, keys))


async def _work(configured: Settings, url: str, keys: MasterKeys) -> None:
    logger = structlog.get_logger()
    stop = stop_requested()
    configured = with_running_sandbox(configured)
    async with opened_application(configured, url, keys, logger) as application:
        await migrated(configured, application.database, url)
        await prepared(application, configured)
        worker = worker_of(configured, url, application, logger)
        worker.start()
        collect_from_here_on()
        logger.info("working", modules=list(configured.modules))
        await stop.wait()
        await worker.stop()
        await application.finish()
        logger.info("stopped")
