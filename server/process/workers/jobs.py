"""The process that does the jobs beside several that serve: no receiver of webhooks keeps a call waiting."""

import asyncio
from contextlib import suppress
from functools import partial

import structlog

from server.process.built import collect_from_here_on, opened_application, worker_of
from server.process.data_dir.master_key import master_keys, prepared
from server.process.http.metrics import Exposition, rendered
from server.process.stopping import ready
from server.process.workers.channel import Assignment, WorkerChannel
from server.settings import Settings


async def do_jobs(configured: Settings, assigned: Assignment, channel: WorkerChannel, stop: asyncio.Event) -> None:
    """Does jobs until it is to stop; raises Failure."""
    logger = structlog.get_logger().bind(worker=assigned.number)
    url = assigned.database_url
    async with opened_application(configured, url, master_keys(configured), logger) as application:
        health = application.health
        worker = worker_of(configured, url, application, logger, already_logged=health.logs_unready)
        health.add_check(worker.unready_reason)
        await prepared(application, configured)
        await health.start()
        watching = asyncio.create_task(health.watch())
        worker.start()
        collect_from_here_on()
        channel.answer("metrics", partial(_metrics, rendered(application.registry)))
        with suppress(ConnectionError):  # it is gone, and the stop is asked for
            await channel.ask("serving")
            if await ready(health, stop):
                await channel.ask("ready")
        await stop.wait()
        watching.cancel()
        await worker.stop()
        await application.finish()
        logger.info("stopped")


async def _metrics(exposition: Exposition, _: str) -> str:
    return await exposition()
