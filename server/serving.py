"""A server's life: it binds, becomes ready, answers, and stops without losing anything."""

import asyncio
import os
from contextlib import suppress

import grpc
import structlog
from google.protobuf.internal import api_implementation

from server.frame.interceptors.validation import LARGEST_MESSAGE
from server.frame.jobs import Worker
from server.frame.standard import add_standard
from server.http.listener import Listener
from server.settings import Address
from server.wiring import Application

_FINISH_WITHIN = 30.0
"""In seconds: how long calls under way may take once the server is stopping."""
_LAST_ANSWERS_WITHIN = 0.5

_OPTIONS = (
    # A second server must not start silently on the same port.
    ("grpc.so_reuseport", 0),
    # Above our own limit, which refuses with a reason.
    ("grpc.max_receive_message_length", 2 * LARGEST_MESSAGE),
    # Without a number announced, thousands of streams on one connection are answered CANCELLED.
    ("grpc.max_concurrent_streams", 1000),
    # The core would reset the streams above that number; without this it lets them wait for their turn.
    ("grpc.http.overload_protection", 0),
    # Idle connections hold descriptors that new callers need.
    ("grpc.max_connection_idle_ms", 10 * 60_000),
    # Clients find new servers when their connection ends now and then.
    ("grpc.max_connection_age_ms", 60 * 60_000),
    ("grpc.max_connection_age_grace_ms", 5 * 60_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 32 * 1024),
)


class BindError(Exception):
    """An address cannot be listened on; the text names the setting."""


class Server:
    """One process's gRPC and HTTP sides around one application."""

    def __init__(
        self,
        application: Application,
        grpc_address: Address,
        http_address: Address,
        logger: structlog.typing.FilteringBoundLogger,
        *,
        worker: Worker | None = None,
        drain_seconds: float = 0.0,
    ) -> None:
        """Binds both addresses; raises BindError. `worker` does jobs beside the calls."""
        if api_implementation.Type() == "python":
            raise RuntimeError("protobuf runs on its pure-Python backend, which is many times too slow: reinstall it")
        self._application = application
        self._logger = logger
        self._worker = worker
        self._drain_seconds = drain_seconds
        self._grpc = grpc.aio.server(interceptors=application.interceptors, options=_OPTIONS)
        for service in application.services:
            service.add(service.servicer, self._grpc)
        add_standard(self._grpc, application.health, [service.name for service in application.services])
        try:
            self.grpc_port = self._grpc.add_insecure_port(str(grpc_address))
        except RuntimeError:
            raise BindError(f"BACKROOM_GRPC_ADDRESS: {grpc_address} cannot be listened on; is it taken?") from None
        try:
            self._http = Listener(application.http, http_address.host, http_address.port)
        except OSError as error:
            raise BindError(f"BACKROOM_HTTP_ADDRESS: {http_address}: {os.strerror(error.errno or 0)}") from None
        self.http_port = self._http.port
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Answers from here on; readiness follows the database."""
        await self._application.health.start()
        await self._application.health.look()
        await self._grpc.start()
        self._http.start()
        if self._worker is not None:
            self._worker.start()
        self._watch = asyncio.create_task(self._application.health.watch())
        self._logger.info("serving", grpc_port=self.grpc_port, http_port=self.http_port)

    async def stop(self) -> None:
        """NOT_SERVING, wait for the load balancers, take no more calls, finish those under way, jobs and batches."""
        await self._application.health.drain()
        await asyncio.sleep(self._drain_seconds)
        stopping = asyncio.create_task(self._grpc.stop(_FINISH_WITHIN))
        working = asyncio.create_task(self._worker.stop()) if self._worker else None
        await self._application.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_WITHIN):
                await self._application.in_flight.idle()
        # The last answers leave; health watches, which would never end by themselves, are then cut off.
        await asyncio.wait([stopping], timeout=_LAST_ANSWERS_WITHIN)
        await self._grpc.stop(None)
        await stopping
        if working is not None:
            await working
        await self._application.finish()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._http.stop()
        self._logger.info("stopped")
