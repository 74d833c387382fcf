import asyncio
import signal
import time

import structlog
import uvloop
from rich.console import Console

import migrations
from server import settings
from server.cli.admin import FIRST_ADMIN, ensure_first_admin
from server.cli.edge import edge_of, fit_to_start, limits_of
from server.cli.failure import Failure
from server.cli.mail import mail_of
from server.cli.master_key import master_keys, prepared
from server.cli.opened import database_url
from server.cli.own_sandbox import Sandbox, own_sandbox
from server.cli.trade import opened_trade, sources_of
from server.edge.start import warnings
from server.frame import log
from server.frame.contract import ContractError
from server.frame.jobs import Worker
from server.frame.sealing import MasterKeys
from server.serving import BindError, Server
from server.settings import Settings
from server.wiring import Application
from server.wiring.commerce import Trade
from storage.database import Database


def serve(*, with_worker: bool = True) -> None:
    """Serves until it is stopped; with a worker, it does the jobs too."""
    configured = settings.read()
    fit_to_start(configured)
    keys = master_keys(configured)
    log.configure(configured.log_level, configured.log_format)
    with (
        own_sandbox(configured) as started,
        database_url(configured) as url,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_serve(configured, url, keys, started.ready() if started else None, with_worker=with_worker))


def stop_asked() -> asyncio.Event:
    """Is set once the process is asked to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _serve(
    configured: Settings, url: str, keys: MasterKeys, sandbox: Sandbox | None, *, with_worker: bool
) -> None:
    began = time.perf_counter()
    logger = structlog.get_logger()
    stop = stop_asked()
    for warning in warnings(configured):
        logger.warning(warning)
    edge = edge_of(configured, logger)
    database = Database(url, audit_key=keys.audit_key, opening=edge.descriptors.reserved)
    try:
        async with opened_trade(configured, sandbox) as trade:
            application = _application(configured, database, keys, trade, sandbox)
            server = Server(
                application,
                configured.grpc_address,
                configured.http_address,
                logger,
                edge=edge,
                worker=Worker(url, application.tasks, logger, application.registry) if with_worker else None,
                drain_seconds=configured.drain_seconds,
            )
            password = await _prepare_embedded(configured, database, keys, url)
            await prepared(application, configured)
            await server.start()
            if sandbox is not None and "webhooks" in configured.modules:
                scheme = "https" if configured.http_tls else "http"
                await sandbox.tell(f"{scheme}://127.0.0.1:{server.http_port}/webhooks/sandbox")
            _announce(server, configured, password, time.perf_counter() - began)
            await stop.wait()
            await server.stop()
    except (BindError, ContractError) as error:
        raise Failure(str(error)) from None
    finally:
        await database.close()


def _application(
    configured: Settings, database: Database, keys: MasterKeys, trade: Trade, sandbox: Sandbox | None
) -> Application:
    return Application(
        database,
        configured.modules,
        structlog.get_logger(),
        keys,
        trade=trade,
        limits=limits_of(configured),
        sources=sources_of(configured, sandbox),
        allowed_networks=configured.webhook_allowed_networks,
        trusted_proxies=configured.trusted_proxies,
        mail=mail_of(configured),
        anchor_file=configured.audit_anchor_file,
    )


async def _prepare_embedded(configured: Settings, database: Database, keys: MasterKeys, url: str) -> str | None:
    """Migrates the embedded database, and returns the password of an admin that was made; other databases are left."""
    if not configured.embedded:
        return None
    if await database.revision() != migrations.head():
        await asyncio.to_thread(migrations.upgrade, url)
    return await ensure_first_admin(database, keys, configured.data_dir)


def _announce(server: Server, configured: Settings, password: str | None, seconds: float) -> None:
    """Tells a person what to do next; the first time, with the admin's password and three calls to paste."""
    console = Console(stderr=False, highlight=False, soft_wrap=True)
    host = configured.grpc_address.host
    address = f"{host}:{server.grpc_port}"
    console.print(
        f"[bold green]Backroom serves[/] gRPC on [bold]{address}[/] and HTTP on"
        f" [bold]{configured.http_address.host}:{server.http_port}[/], after {seconds:.1f} s. Ctrl-C stops it."
    )
    if password is not None and configured.tls_certificate is None:
        console.print(_first_words(address, configured, password), markup=False)


def _first_words(address: str, configured: Settings, password: str) -> str:
    credentials = f'{{"email":"{FIRST_ADMIN}","password":"{password}"}}'
    login = "backroom.identity.v1.IdentityService/Login"
    me = "backroom.identity.v1.IdentityService/GetMe"
    products = "backroom.commerce.v1.CatalogService/ListProducts"
    pick = """sed -n 's/.*"accessToken": *"\\([^"]*\\)".*/\\1/p'"""
    bearer = '-H "authorization: Bearer $TOKEN"'
    curl = ".venv/bin/buf curl --reflect --http2-prior-knowledge --protocol grpc"
    return f"""
An admin was made, and is kept in {configured.data_dir}/admin.json:

  email     {FIRST_ADMIN}
  password  {password}

Three calls to paste, with grpcurl:

  TOKEN=$(grpcurl -plaintext -d '{credentials}' {address} {login} | {pick})
  grpcurl -plaintext {bearer} {address} {me}
  grpcurl -plaintext {bearer} -d '{{"page_size":5}}' {address} {products}

The same with buf:

  TOKEN=$({curl} -d '{credentials}' http://{address}/{login} | {pick})
  {curl} {bearer} http://{address}/{me}
  {curl} {bearer} -d '{{"page_size":5}}' http://{address}/{products}

`make demo` in another terminal replays one real day of a real shop.
"""
