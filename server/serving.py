"""A server's life: it binds, becomes ready, answers, and stops without losing anything."""

import asyncio
import os
from contextlib import suppress

import grpc
import structlog
from google.protobuf.internal import api_implementation

from server.edge import Edge
from server.frame.jobs import Worker
from server.frame.standard import add_standard
from server.http.listener import Listener
from server.settings import Address
from server.wiring import Application

_FINISH_WITHIN = 30.0
"""In seconds: how long calls under way may take once the server is stopping."""
_LAST_ANSWERS_WITHIN = 0.5


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
        edge: Edge = Edge(),  # noqa: B008 - it is frozen
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
        self._grpc = grpc.aio.server(interceptors=[application.chain], options=edge.connection_limits.options())
        for service in application.services:
            service.add(service.servicer, self._grpc)
        names = [service.name for service in application.services]
        add_standard(self._grpc, application.health, names, reflection=edge.reflection)
        self._bind(grpc_address, http_address, edge)
        self._watches: list[asyncio.Task[None]] = []

    def _bind(self, grpc_address: Address, http_address: Address, edge: Edge) -> None:
        try:
            if edge.certificates is None:
                self.grpc_port = self._grpc.add_insecure_port(str(grpc_address))
            else:
                self.grpc_port = self._grpc.add_secure_port(str(grpc_address), edge.certificates.credentials())
        except RuntimeError:
            raise BindError(f"BACKROOM_GRPC_ADDRESS: {grpc_address} cannot be listened on; is it taken?") from None
        tls = edge.http_certificates.context if edge.http_certificates else None
        host, port = http_address.host, http_address.port
        try:
            self._http = Listener(self._application.http, host, port, tls=tls, descriptors=edge.descriptors)
        except OSError as error:
            raise BindError(f"BACKROOM_HTTP_ADDRESS: {http_address}: {os.strerror(error.errno or 0)}") from None
        self.http_port = self._http.port

    async def start(self) -> None:
        """Answers from here on; readiness follows the database."""
        await self._application.health.start()
        await self._application.health.look()
        self._watches.append(asyncio.create_task(self._application.identity.standings.watch(self._logger)))
        await self._grpc.start()
        self._http.start()
        if self._worker is not None:
            self._worker.start()
        self._watches.append(asyncio.create_task(self._application.health.watch()))
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
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        await self._http.stop()
        self._logger.info("stopped")
