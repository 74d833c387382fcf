"""The standard services in addition to ours: health, and reflection in both its versions."""

from collections.abc import Sequence

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from server.frame.contract import PUBLIC
from server.frame.health import Health
from server.frame.reflection import V1, Describable

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"]
_REFLECTION = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]

STANDARD_RULES = {
    f"/{service}/{method.name}": PUBLIC
    for service, descriptor in (
        (_HEALTH.full_name, _HEALTH),
        (_REFLECTION.full_name, _REFLECTION),
        (V1, _REFLECTION),
    )
    for method in descriptor.methods
}
"""Their contracts are not ours to annotate; anyone may call them."""


def add_standard(server: grpc.aio.Server, health: Health, services: Sequence[str], *, reflection: bool = True) -> None:
    """Adds health, and reflection where it is wanted, to a server that has these services."""
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    if reflection:
        _add_reflection(server, services)


def _add_reflection(server: grpc.aio.Server, services: Sequence[str]) -> None:
    names = (*services, _HEALTH.full_name, _REFLECTION.full_name, V1)
    servicer = reflection.aio.ReflectionServicer(names, Describable(descriptor_pool.Default()))
    add = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
    add(servicer, server)  # type: ignore[no-untyped-call]  # the stub is generated without types
    # The library serves v1alpha alone, and some tools call v1: the messages are the same.
    alias = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handlers = {"ServerReflectionInfo": alias}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(V1, handlers),))
