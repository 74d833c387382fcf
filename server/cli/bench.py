"""`backroom bench`: how fast a server answers, and whether it keeps what it answered."""

import asyncio
import gc
import ssl
import sys
from collections.abc import Mapping, Sequence

import uvloop
from rich.console import Console

from load.http2 import Connection
from load.order_requests import Unexpected
from load.sample import Refused, Sample
from load.shop import Shop
from load.statuses import Failed
from load.totals import Mismatch
from server import settings
from server.cli.bench_report import print_checked, print_samples
from server.cli.bench_works import READABLE, Load, Work, works_named
from server.cli.confirmation import ask_before_writing, reasons_to_ask
from server.cli.service_key import service_key
from server.cli.target_server import tls_of
from server.process.failure import Failure
from server.settings import Address, Settings

_STOCK = 1_000_000_000
"""Pieces of each product: more than a bench can order."""


def bench(names: Sequence[str], address: str | None, load: Load, *, products: int, yes: bool) -> None:
    """Measures these works, or all, on the server of an address or of the settings; exits with 1 on a mismatch.

    `yes` lets it write without asking to a server that may be somebody else's.
    """
    works = works_named(names)
    configured = settings.read()
    target = configured.grpc_address if address is None else _address(address)
    reasons = reasons_to_ask(configured, target, answers=True)
    ask_before_writing(f"a bench leaves products and orders on {target}", reasons, yes=yes)
    console = Console(highlight=False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_benched(configured, target, works, load, products, console))
        except Mismatch as mismatch:
            console.print(f"does not add up: {mismatch}", style="red", markup=False, soft_wrap=True)
            sys.exit(1)
        except (OSError, Failed, Refused, Unexpected) as error:
            raise Failure(f"the bench ended early: {error or type(error).__name__}") from None


async def _benched(
    configured: Settings, target: Address, works: Mapping[str, Work], load: Load, products: int, console: Console
) -> None:
    tls = _context(configured)
    await _reach(configured, target, tls)
    key = await _key(configured, target)
    what = f"{products:,} products and their orders, of {load.seconds:g} s each of {', '.join(works)}"
    console.print(f"{target} will be left with {what}", markup=False, soft_wrap=True)
    name = configured.tls_server_name
    shop = await Shop.open(str(target), key, products=products, stock=_STOCK, tls=tls, server_name=name)
    try:
        await shop.fill(READABLE)
        # What was made so far stays: the garbage collector need not go through it while calls are measured.
        gc.freeze()
        samples: dict[str, Sample] = {}
        for work, measure in works.items():
            with console.status(work):
                samples[work] = await measure(shop, load)
        print_samples(console, samples)
        print_checked(console, await shop.check())
    finally:
        await shop.close()


async def _reach(configured: Settings, target: Address, tls: ssl.SSLContext | None) -> None:
    try:
        connection = await Connection.open(str(target), tls=tls, server_name=configured.tls_server_name)
    except ConnectionError as error:
        raise Failure(f"no server answers on {target}: {error.__cause__ or error}") from None
    await connection.close()


async def _key(configured: Settings, target: Address) -> str:
    """The key of the server that the settings are about is kept; another server must not be shown it."""
    if not configured.api_key and str(target) != str(configured.grpc_address):
        raise Failure(f"BACKROOM_API_KEY: is not set; {target} is not the server of these settings")
    return await service_key(configured, str(target), tls_of(configured))


def _context(configured: Settings) -> ssl.SSLContext | None:
    """How the bench's own connections are encrypted; None means in plain text."""
    if not (configured.tls_ca or configured.tls_certificate):
        return None
    certificate, key = configured.tls_caller_certificate, configured.tls_caller_key
    try:
        context = ssl.create_default_context(cafile=configured.tls_ca)
        if certificate:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        raise Failure(f"BACKROOM_TLS_CA, BACKROOM_TLS_CALLER_CERTIFICATE: {error.strerror or error}") from None
    context.set_alpn_protocols(["h2"])
    return context


def _address(text: str) -> Address:
    try:
        return Address(text)
    except ValueError as error:
        raise Failure(f"--address: {error}") from None
