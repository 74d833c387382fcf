"""A gRPC server of this process: which services are answered at an address, and how its calls are taken in."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import grpc

from server.application import Application
from server.frame.module import Service
from server.frame.standard import add_standard
from server.process.edge import Edge
from server.settings import Address


class BindError(Exception):
    """An address cannot be listened on; the text names the setting."""


class RegisteredMethods:
    """Takes the server's place where services are added to it, and registers only the methods with these paths.

    The others share one, which answers them by their generic handlers.
    """

    def __init__(self, server: grpc.aio.Server, own: Collection[str]) -> None:
        self._server = server
        self._own = own

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[Any]) -> None:
        self._server.add_generic_rpc_handlers(generic_rpc_handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Any]) -> None:
        own = {name: each for name, each in method_handlers.items() if f"/{service_name}/{name}" in self._own}
        self._server.add_registered_method_handlers(service_name, own)


class GrpcServer:
    """Answers the calls of some of an application's services at one address, and health beside them."""

    def __init__(
        self,
        application: Application,
        services: Sequence[Service],
        edge: Edge,
        setting: str,
        address: Address,
        *,
        registered_methods: Collection[str] = (),
        shared_port: bool = False,
    ) -> None:
        """Binds the address, which is known by its setting's name; raises BindError.

        Each of the registered methods takes its calls in by itself, so that a flood of another method's does not delay
        them. gRPC's loop waits for each of them anew with every call: a server of few methods, none of which keeps the
        loop busy, needs none.
        """
        options = edge.connection_limits.options(shared_port=shared_port)
        self._server = grpc.aio.server(interceptors=[application.chain.for_another_server()], options=options)
        for service in services:
            service.add_to(RegisteredMethods(self._server, registered_methods))
        names = [service.name for service in services]
        add_standard(self._server, application.health, names, reflection=edge.reflection)
        self.port = self._bind(setting, address, edge)

    def _bind(self, setting: str, address: Address, edge: Edge) -> int:
        try:
            if edge.certificates is None:
                return self._server.add_insecure_port(str(address))
            return self._server.add_secure_port(str(address), edge.certificates.credentials())
        except RuntimeError:
            raise BindError(f"{setting}: {address} cannot be listened on; is it taken?") from None

    async def start(self) -> None:
        await self._server.start()

    async def stop(self, grace_seconds: float) -> None:
        """Tells clients to call no more; what is still under way after so many seconds is cut off."""
        await self._server.stop(grace_seconds)
