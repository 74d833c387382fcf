"""The way from settings to what runs, the same for a server alone, for each of several, and for a worker."""

import gc
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext

import structlog

from server.application import Application
from server.frame.contract import ContractError
from server.frame.jobs import Worker
from server.frame.module import SettingMissing
from server.frame.sealing import MasterKeys
from server.process.database import database_of
from server.process.edge import edge_of, limits_of
from server.process.failure import Failure
from server.process.grpc_server import BindError
from server.process.http.app import NAME, about_text
from server.process.http.metrics import MetricsAccess
from server.process.server import Server, Shared
from server.process.version import version
from server.settings import Address, Settings
from storage.confirmations import Confirmations
from storage.connector import Opening
from storage.store import FRAME

_GC_THRESHOLD = 10_000
"""How many new objects there are, less those that are gone, before the collector looks for cycles among them."""


@asynccontextmanager
async def opened_application(
    settings: Settings,
    url: str,
    keys: MasterKeys,
    logger: structlog.typing.FilteringBoundLogger,
    opening: Opening = nullcontext,
) -> AsyncIterator[Application]:
    """The application of these settings, on the database of a URL; its connections end with the block.

    `opening` is entered around the opening of each. Raises Failure.
    """
    database = database_of(
        settings,
        url,
        audit_key=keys.audit_key,
        issuer=settings.issuer,
        opening=opening,
        direct_url=None if settings.embedded else settings.direct_database_url,
    )
    try:
        yield Application(settings, database, keys, logger, limits=limits_of(settings))
    except (BindError, ContractError, SettingMissing) as error:
        raise Failure(str(error)) from None
    finally:
        await database.close()


def worker_of(
    settings: Settings,
    url: str,
    application: Application,
    logger: structlog.typing.FilteringBoundLogger,
    *,
    already_logged: Callable[[], bool] | None = None,
) -> Worker:
    """Does the jobs of an application; `already_logged` is whether the log says already that the database does not
    respond."""
    return Worker(
        url,
        application.tasks,
        logger,
        application.registry,
        pooler=settings.pooler,
        direct_url=None if settings.embedded else settings.direct_database_url,
        issuer=settings.issuer,
        already_logged=already_logged,
        confirmed=Confirmations(application.database.store(FRAME)).confirmed,
        limits=settings.time_limits,
    )


@asynccontextmanager
async def opened_server(
    settings: Settings,
    url: str,
    keys: MasterKeys,
    logger: structlog.typing.FilteringBoundLogger,
    *,
    with_worker: bool,
    shared: Shared | None = None,
    further: Mapping[str, Address] | None = None,
) -> AsyncIterator[Server]:
    """A server that has its ports, and answers once it is started; with a worker, it does jobs too. Raises Failure.

    `further` are the further gRPC addresses of one that shares them with others, whichever ports those are.
    """
    edge = edge_of(settings, logger)
    async with opened_application(settings, url, keys, logger, edge.descriptors.reserved) as application:
        already_logged = application.health.logs_unready
        yield Server(
            application,
            settings.grpc_address,
            settings.http_address,
            logger,
            edge=edge,
            metrics_access=MetricsAccess(settings.environment != "production", settings.metrics_token),
            metrics_address=settings.metrics_address,
            worker=worker_of(settings, url, application, logger, already_logged=already_logged)
            if with_worker
            else None,
            drain_seconds=settings.drain_seconds,
            shared=shared,
            about=_about(application) if settings.reflects else NAME,
            further_grpc_addresses=settings.further_grpc_addresses if further is None else further,
        )


def _about(application: Application) -> str:
    return about_text(version(), [service.name for service in application.services], application.routes)


def collect_from_here_on() -> None:
    """What was imported and wired stays until the process ends: the garbage collector need not go through all of it
    ever again."""
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    gc.enable()
