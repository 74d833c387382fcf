"""Health checks and questions to reflection, as Kubernetes, clients and tools make them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

_NAME = health_pb2.HealthCheckResponse.ServingStatus.Name


async def checked(channel: grpc.aio.Channel, service: str) -> str:
    """The result of Check: a status, or the code of a refusal."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    try:
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return _NAME(answer.status)


async def watched(channel: grpc.aio.Channel, service: str) -> AsyncIterator[str]:
    """Each status that Watch sends, as it arrives."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    async for answer in stub.Watch(health_pb2.HealthCheckRequest(service=service)):
        yield _NAME(answer.status)


async def becomes(channel: grpc.aio.Channel, service: str, status: str, *, within: float) -> None:
    """Returns once Check returns this; raises TimeoutError after a timeout."""
    async with asyncio.timeout(within):
        while await checked(channel, service) != status:  # noqa: ASYNC110 - it is another's state
            await asyncio.sleep(0.05)


async def reflected(
    channel: grpc.aio.Channel, version: str, *questions: reflection_pb2.ServerReflectionRequest
) -> list[Any]:
    """What reflection answers; the messages of its versions, v1 and v1alpha, differ only in the package's name."""
    stub: Any = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    return [answer async for answer in stub(iter(questions), timeout=60)]


async def listed(channel: grpc.aio.Channel, version: str = "v1") -> set[str]:
    """The services that reflection lists."""
    (answer,) = await reflected(channel, version, reflection_pb2.ServerReflectionRequest(list_services="*"))
    return {service.name for service in answer.list_services_response.service}
