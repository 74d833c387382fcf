"""A server's life: it binds, becomes ready, answers, and stops without losing anything."""

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

import structlog
from google.protobuf.internal import api_implementation
from starlette.applications import Starlette

from server.application import Application
from server.frame.jobs import Worker
from server.process.client_connections import ClientConnections
from server.process.edge import Edge
from server.process.grpc_server import BindError, GrpcServer
from server.process.http.app import NAME, create_app
from server.process.http.listener import Listener
from server.process.http.metrics import CachedExposition, Exposition, MetricsAccess, metrics_app, rendered, with_metrics
from server.settings import Address

_FINISH_SECONDS = 30.0
"""In seconds: how long calls under way may take once the server is stopping."""
_PAUSE_SECONDS = 1.0
"""How long reading stays paused while none of the calls under way ends."""
_RESUME_SECONDS = 0.05
_POLL_SECONDS, _IDLE_POLLS = 0.01, 3
_GOAWAY_SECONDS = 1.0
"""How long callers, which may be busy, have to read that they are to send no more."""
_CLOSE_SECONDS = 1.0
"""How long callers have to close their side of a connection."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What a server has in common with others of its kind, each in a process of its own, on the same two ports."""

    http_socket: socket.socket
    """It listens already, and each of them takes connections from it."""
    metrics: Exposition
    """What all of them count together."""
    metrics_socket: socket.socket | None = None
    """Where the metrics are shown, where they have an address of their own."""


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
        metrics_access: MetricsAccess = MetricsAccess(),  # noqa: B008 - it is frozen
        metrics_address: Address | None = None,
        worker: Worker | None = None,
        drain_seconds: float = 0.0,
        shared: Shared | None = None,
        about: str = NAME,
        further_grpc_addresses: Mapping[str, Address] = MappingProxyType({}),
    ) -> None:
        """Binds all addresses; raises BindError. `worker` does jobs next to the calls, and `about` is the text at `/`.

        The further addresses are known by their settings' names; at each of them a gRPC server of its own answers the
        services that a module has there.

        With a `metrics_address` the metrics are shown there and not at the HTTP address.
        With `shared` it is one of several: the HTTP socket is bound already, and whoever starts them reserves the gRPC
        port, since nobody else would learn that it is taken.
        """
        if api_implementation.Type() == "python":
            raise RuntimeError("protobuf runs on its pure-Python backend, which is many times too slow: reinstall it")
        self.application = application
        self._logger = logger
        self._worker = worker
        if worker is not None:
            application.health.add_check(worker.unready_reason)
        self._drain_seconds = drain_seconds
        self._grpc = GrpcServer(
            application,
            application.services,
            edge,
            "BACKROOM_GRPC_ADDRESS",
            grpc_address,
            registered_methods=application.registered_methods,
            shared_port=shared is not None,
        )
        self._further_grpc = {
            name: GrpcServer(
                application, application.services_at[name], edge, name, address, shared_port=shared is not None
            )
            for name, address in further_grpc_addresses.items()
        }
        self.grpc_port = self._grpc.port
        self.further_grpc_ports = {name: each.port for name, each in self._further_grpc.items()}
        self._listeners: list[Listener] = []
        http = create_app(application.health, application.identity.keys.jwks, application.routes, about=about)
        self.http_port, self.metrics_port = self._bind_http(
            http, http_address, metrics_address, edge, metrics_access, shared
        )
        self._watches: list[asyncio.Task[None]] = []

    def _bind_http(
        self,
        http: Starlette,
        address: Address,
        metrics: Address | None,
        edge: Edge,
        metrics_access: MetricsAccess,
        shared: Shared | None,
    ) -> tuple[int, int | None]:
        """Returns the port, and that of the metrics where they have one of their own."""
        counted = shared.metrics if shared else rendered(self.application.registry)
        exposition = CachedExposition(counted, metrics_access.kept_seconds)
        app = http if metrics else with_metrics(http, exposition, metrics_access)
        port = self._listen("BACKROOM_HTTP_ADDRESS", app, address, edge, shared.http_socket if shared else None)
        if metrics is None:
            return port, None
        app, inherited = metrics_app(exposition, metrics_access), shared.metrics_socket if shared else None
        return port, self._listen("BACKROOM_METRICS_ADDRESS", app, metrics, edge, inherited)

    def _listen(
        self, setting: str, app: Starlette, address: Address, edge: Edge, inherited: socket.socket | None
    ) -> int:
        tls = edge.http_certificates.context if edge.http_certificates else None
        where, descriptors = (address.host, address.port), edge.descriptors
        try:
            listener = Listener(app, *where, inherited=inherited, tls=tls, descriptors=descriptors)
        except OSError as error:
            raise BindError(f"{setting}: {address}: {os.strerror(error.errno or 0)}") from None
        self._listeners.append(listener)
        return listener.port

    async def start(self) -> None:
        """Answers from here on; readiness follows the database."""
        await self.application.health.start()
        await self.application.health.poll()
        access_cache, already_logged = self.application.identity.access_cache, self.application.health.logs_unready
        self._watches.append(asyncio.create_task(access_cache.watch(self._logger, already_logged)))
        for run in self.application.background:
            self._watches.append(asyncio.create_task(run(already_logged)))
        for each in (self._grpc, *self._further_grpc.values()):
            await each.start()
        for listener in self._listeners:
            listener.start()
        if self._worker is not None:
            self._worker.start()
        self._watches.append(asyncio.create_task(self.application.health.watch()))

    async def stop(self) -> None:
        """NOT_SERVING, wait for the load balancers, finish calls, let the callers go, finish jobs and batches."""
        await self.application.health.drain()
        await asyncio.sleep(self._drain_seconds)
        working = asyncio.create_task(self._worker.stop()) if self._worker else None
        await self._close_clients()
        if working is not None:
            await working
        await self.application.finish()
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        for listener in self._listeners:
            await listener.stop()
        self._logger.info("stopped")

    async def _close_clients(self) -> None:
        """Ends the gRPC side at a moment at which no call is under way, and what comes is not read.

        gRPC's core cancels each call that it reads once it is stopping, though no caller can know of the stop yet. So
        none is read: clients are told by GOAWAY to send no more, and then which was the last call that was read. Their
        gRPC sends the later ones to another server, whoever wrote it.
        """
        clients = ClientConnections(self.grpc_port, *self.further_grpc_ports.values())
        clients.stop_accepting()
        clients.pause_reading()
        # Watches would not end by themselves; connections that send new ones are paused, and their clients go
        # elsewhere.
        await self.application.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                while not await self._idle(clients):
                    # A call under way may wait for what its caller sends.
                    clients.resume_reading()
                    await asyncio.sleep(_RESUME_SECONDS)
        clients.keep_open()
        # Health watches, which would never end by themselves, are cut off then.
        servers = (self._grpc, *self._further_grpc.values())
        await asyncio.gather(*(each.stop(_GOAWAY_SECONDS) for each in servers))
        await clients.close_when_clients_do(_CLOSE_SECONDS)

    async def _idle(self, clients: ClientConnections) -> bool:
        """Whether all calls under way end, while reading is paused; False once none has ended for a while."""
        in_flight, polls, idle_polls, ended = self.application.in_flight, 0, 0, -1
        while idle_polls < _IDLE_POLLS:
            polls = polls + 1 if in_flight.ended == ended else 0
            if in_flight.count and polls * _POLL_SECONDS > _PAUSE_SECONDS:
                return False
            ended = in_flight.ended
            clients.pause_reading()
            await asyncio.sleep(_POLL_SECONDS)
            # What the core has read and not handed over yet is under way, and comes with the next polls.
            idle_polls = 0 if in_flight.count else idle_polls + 1
        return True
