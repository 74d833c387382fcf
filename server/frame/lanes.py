"""Where calls wait until gRPC hands them over: each method's by themselves, or all together.

A crowd at a method that has a lane of its own holds up no other. But gRPC's loop goes over all lanes at each call,
whatever its method: with one for each of ours, that took a tenth of the time of a read.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import grpc


class Lanes:
    """Stands for the server where services are added to it, and gives a lane to the methods with these paths alone.

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
