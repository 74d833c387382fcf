"""A server by the settings, the same whether it serves alone or as one of several."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from server.frame.contract import ContractError
from server.frame.jobs import Worker
from server.frame.sealing import MasterKeys
from server.process.edge import edge_of, limits_of
from server.process.failure import Failure
from server.process.http.app import NAME, about_text
from server.process.http.metrics import Scraping
from server.process.mail import mail_of
from server.process.server import BindError, Server, Shared
from server.process.surroundings import Surroundings
from server.process.trade import opened_trade, sources_of
from server.process.version import version
from server.settings import Settings
from server.wiring import Application
from server.wiring.commerce import Trade
from storage.database import Database

_YOUNG = 10_000
"""How many new objects there are, less those that are gone, before the collector looks for cycles among them."""


@dataclass(frozen=True, slots=True)
class Built:
    """A server that has its ports, and answers once it is started."""

    server: Server
    application: Application
    database: Database

    async def start(self) -> None:
        """Answers from here on."""
        await self.server.start()
        # What was imported and wired stays for good: the collector need not go through all of it again and again.
        gc.freeze()
        gc.set_threshold(_YOUNG)
        gc.enable()


@asynccontextmanager
async def built(
    configured: Settings,
    keys: MasterKeys,
    beside: Surroundings,
    logger: structlog.typing.FilteringBoundLogger,
    *,
    with_worker: bool,
    shared: Shared | None = None,
) -> AsyncIterator[Built]:
    """The server; its connections to others end with the block. With a worker, it does jobs too. Raises Failure."""
    edge = edge_of(configured, logger)
    reserved = edge.descriptors.reserved
    database = Database(
        beside.url,
        audit_key=keys.audit_key,
        pooler=configured.pooler,
        issuer=configured.issuer,
        opening=reserved,
        limits=configured.time_limits,
    )
    try:
        async with opened_trade(configured, beside.sandbox) as trade:
            application = application_of(configured, database, keys, beside, trade, logger)
            tells = application.health.tells
            worker = worker_of(configured, beside.url, application, logger, told=tells) if with_worker else None
            server = Server(
                application,
                configured.grpc_address,
                configured.http_address,
                logger,
                edge=edge,
                scraping=Scraping(configured.environment != "production", configured.metrics_token),
                metrics_address=configured.metrics_address,
                worker=worker,
                drain_seconds=configured.drain_seconds,
                shared=shared,
                about=about_text(version()) if configured.reflects else NAME,
            )
            yield Built(server, application, database)
    except (BindError, ContractError) as error:
        raise Failure(str(error)) from None
    finally:
        await database.close()


def worker_of(
    configured: Settings,
    url: str,
    application: Application,
    logger: structlog.typing.FilteringBoundLogger,
    *,
    told: Callable[[], bool] | None = None,
) -> Worker:
    """Does the jobs of an application; `told` is whether the log says already that the database is away."""
    direct_url = configured.direct_database_url if configured.database_url else None
    given = (url, application.tasks, logger, application.registry)
    return Worker(
        *given,
        pooler=configured.pooler,
        direct_url=direct_url,
        issuer=configured.issuer,
        told=told,
        limits=configured.time_limits,
    )


def application_of(
    configured: Settings,
    database: Database,
    keys: MasterKeys,
    beside: Surroundings,
    trade: Trade,
    logger: structlog.typing.FilteringBoundLogger,
) -> Application:
    return Application(
        database,
        configured.modules,
        logger,
        keys,
        issuer=configured.issuer,
        trade=trade,
        limits=limits_of(configured),
        sources=sources_of(configured, beside.sandbox),
        allowed_networks=configured.webhook_allowed_networks,
        trusted_proxies=configured.trusted_proxies,
        mail=mail_of(configured),
        anchor_file=configured.audit_anchor_file,
    )
