"""Tools explore the server without its contracts at hand."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2 as pb

from server.edge import Edge
from storage.database import Database
from tests.contract.methods import METHODS, SERVICES
from tests.contract.probes import checked
from tests.fixtures.servers import Running, refused, running

VERSIONS = ("v1", "v1alpha")
"""Their messages are the same but for the package's name, which is not on the wire."""


async def asked(server: Running, version: str, *questions: pb.ServerReflectionRequest) -> list[Any]:
    stub: Any = server.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=pb.ServerReflectionRequest.SerializeToString,
        response_deserializer=pb.ServerReflectionResponse.FromString,
    )
    return [answer async for answer in stub(iter(questions), timeout=10)]


def files(answer: Any) -> Iterator[FileDescriptorProto]:
    for content in answer.file_descriptor_response.file_descriptor_proto:
        yield FileDescriptorProto.FromString(content)


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_service_is_listed(server: Running, version: str) -> None:
    """Ours, health, and reflection itself."""
    (answer,) = await asked(server, version, pb.ServerReflectionRequest(list_services="*"))
    listed = {service.name for service in answer.list_services_response.service}
    standard = {"grpc.health.v1.Health", *(f"grpc.reflection.{version}.ServerReflection" for version in VERSIONS)}
    assert listed == {service.full_name for service in SERVICES} | standard


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_methods_file_is_found_by_its_service(server: Running, version: str) -> None:
    """With every method in it, over one stream."""
    questions = [pb.ServerReflectionRequest(file_containing_symbol=service.full_name) for service in SERVICES]
    answers = await asked(server, version, *questions)
    found = {
        f"/{file.package}.{service.name}/{method.name}"
        for answer in answers
        for file in files(answer)
        for service in file.service
        for method in service.method
    }
    assert found == {str(method) for method in METHODS}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_file_is_found_by_its_name_with_what_it_imports(server: Running, version: str) -> None:
    """So that a tool can build its messages."""
    name = "backroom/commerce/v1/order_service.proto"
    (answer,) = await asked(server, version, pb.ServerReflectionRequest(file_by_filename=name))
    found = {file.name: file for file in files(answer)}
    for imported in found[name].dependency:
        if imported not in found:
            (further,) = await asked(server, version, pb.ServerReflectionRequest(file_by_filename=imported))
            assert imported in {file.name for file in files(further)}


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_unknown_symbol_is_not_found_and_the_stream_goes_on(server: Running, version: str) -> None:
    """An error is an answer like another."""
    unknown = pb.ServerReflectionRequest(file_containing_symbol="backroom.nothing.v1.NoService")
    nothing, services = await asked(server, version, unknown, pb.ServerReflectionRequest(list_services="*"))
    assert nothing.error_response.error_code == 5
    assert services.list_services_response.service


async def test_without_reflection_its_methods_do_not_exist(database: Database) -> None:
    """In either version, and everything else does."""
    async with running(database, edge=Edge(reflection=False)) as opened:
        for version in VERSIONS:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await asked(opened, version, pb.ServerReflectionRequest(list_services="*"))
            found = refused(raised.value)
            assert (found.code, found.reason) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")
        assert await checked(opened.channel, "readiness") == "SERVING"
