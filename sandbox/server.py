"""The provider's process: it binds, answers, sends webhooks, and stops without losing anything."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.app import Api
from sandbox.ledger import Ledger
from sandbox.ledger_thread import LedgerThread
from sandbox.request_bodies import ActiveBehavior, Behavior
from sandbox.webhooks import Sender

_PARENT_POLL_SECONDS = 0.25
"""In seconds: how often it checks whether the parent is alive."""


@dataclass(frozen=True, slots=True)
class Config:
    host: str
    port: int
    """0 means a free one."""
    ledger: Path
    key: str = field(repr=False)
    webhook_url: str
    """Where webhooks are sent; empty until the behavior sets it."""
    webhook_secret: str = field(repr=False)
    """Empty if none are to be sent."""
    with_parent: bool = False
    """Whether it ends with the process that started it."""


async def run(config: Config, ready: Callable[[str], None], logger: structlog.typing.FilteringBoundLogger) -> None:
    """Serves until SIGTERM or SIGINT, and calls `ready` with its URL once it answers.

    Raises OSError if it cannot listen or the ledger cannot be created, sqlite3.Error if the file is no ledger, and
    ValueError if the secret is not in Standard Webhooks' form.
    """
    stopping = asyncio.Event()
    stop = _stop_requested(stopping, with_parent=config.with_parent)
    async with serving(config, stopping, logger) as (url, ended):
        ready(url)
        await asyncio.wait([ended, stop], return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()


@contextlib.asynccontextmanager
async def serving(
    config: Config, stopping: asyncio.Event, logger: structlog.typing.FilteringBoundLogger
) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """Within the block the provider answers at a URL, until the other task is done; `stopping` ends all waits.

    Raises as `run` does.
    """
    active_behavior = ActiveBehavior(Behavior(webhook_url=config.webhook_url), stopping=stopping)
    random = Random()  # noqa: S311 - not for secrets
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.create_server((config.host, config.port), family=family, backlog=1024) as listener:
        async with (
            _ledger_thread(config) as ledger_thread,
            _webhooks(config, ledger_thread, active_behavior, random, logger) as changed,
        ):
            api = Api(ledger_thread, config.key, active_behavior, random, changed, signs=bool(config.webhook_secret))
            started = asyncio.Event()
            server = _Server(_uvicorn_config(api.app()), started.set)
            answering = asyncio.create_task(server.serve(sockets=[listener]))
            starting = asyncio.create_task(started.wait())
            await asyncio.wait([answering, starting], return_when=asyncio.FIRST_COMPLETED)
            starting.cancel()
            try:
                yield f"http://{_shown(listener.getsockname())}", answering
            finally:
                server.should_exit = True
                await answering


@contextlib.asynccontextmanager
async def _ledger_thread(config: Config) -> AsyncIterator[LedgerThread]:
    def open_ledger() -> Ledger:
        return Ledger(config.ledger, lambda: datetime.now(UTC), lambda: secrets.token_hex(12))

    ledger_thread = LedgerThread(open_ledger)
    await ledger_thread.open()
    try:
        yield ledger_thread
    finally:
        await ledger_thread.close()


@contextlib.asynccontextmanager
async def _webhooks(
    config: Config,
    ledger_thread: LedgerThread,
    active_behavior: ActiveBehavior,
    random: Random,
    logger: structlog.typing.FilteringBoundLogger,
) -> AsyncIterator[Callable[[], None]]:
    """The function to call after each change, so that webhooks are sent."""
    if not config.webhook_secret:
        yield lambda: None
        return
    sender = Sender(ledger_thread, config.webhook_secret, active_behavior, random, logger)
    sender.start()
    try:
        yield sender.wake
    finally:
        await sender.stop()


def _stop_requested(stop: asyncio.Event, *, with_parent: bool) -> asyncio.Task[object]:
    """Completes when the process is to stop, and then sets the event."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    parent = os.getppid()

    async def orphaned() -> None:
        while os.getppid() == parent:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PARENT_POLL_SECONDS):
                    await stop.wait()
                    return
        stop.set()

    return asyncio.create_task(orphaned() if with_parent else stop.wait())


def _shown(name: tuple[Any, ...]) -> str:
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def _uvicorn_config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_AbortableProtocol,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=5,
    )


class _AbortableProtocol(H11Protocol):
    """Lets the application cut the connection of a request, as `scope["cut"]`, without a response."""

    def __init__(self, *args: Any, **rest: Any) -> None:
        super().__init__(*args, **rest)
        inner = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["cut"] = self.transport.abort
            await inner(scope, receive, send)

        self.app = app


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the process."""
        yield
