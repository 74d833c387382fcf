"""Tools explore the server by reflection, without a copy of its contract."""

from collections.abc import Iterable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2 as pb

from backroom.common.v1 import access_pb2
from server.process.edge import Edge
from storage.database import Database
from tests.contract.methods import METHODS, SERVICES
from tests.contract.probes import checked, listed, reflected
from tests.fixtures.servers import Running, refused, running

VERSIONS = ("v1", "v1alpha")


async def asked(server: Running, version: str, *questions: pb.ServerReflectionRequest) -> list[Any]:
    return await reflected(server.channel, version, *questions)


def files(answer: Any) -> Iterator[FileDescriptorProto]:
    for content in answer.file_descriptor_response.file_descriptor_proto:
        yield FileDescriptorProto.FromString(content)


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_service_is_listed(server: Running, version: str) -> None:
    """Ours, health, and reflection itself."""
    standard = {"grpc.health.v1.Health", *(f"grpc.reflection.{version}.ServerReflection" for version in VERSIONS)}
    assert await listed(server.channel, version) == {service.full_name for service in SERVICES} | standard


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
    """A tool can then build its messages."""
    name = "backroom/commerce/v1/order_service.proto"
    (answer,) = await asked(server, version, pb.ServerReflectionRequest(file_by_filename=name))
    found = {file.name: file for file in files(answer)}
    for imported in found[name].dependency:
        if imported not in found:
            (further,) = await asked(server, version, pb.ServerReflectionRequest(file_by_filename=imported))
            assert imported in {file.name for file in files(further)}


def symbols(file: FileDescriptorProto) -> Iterator[str]:
    """The full name of everything that a file declares; an enum's value both next to the enum and inside it."""
    package = f"{file.package}." if file.package else ""
    for service in file.service:
        yield f"{package}{service.name}"
        yield from (f"{package}{service.name}.{method.name}" for method in service.method)
    yield from (f"{package}{extension.name}" for extension in file.extension)
    yield from _declared(file.message_type, file.enum_type, package)


def _declared(messages: Iterable[DescriptorProto], enums: Iterable[EnumDescriptorProto], scope: str) -> Iterator[str]:
    for enum in enums:
        yield f"{scope}{enum.name}"
        yield from (f"{scope}{value.name}" for value in enum.value)
        yield from (f"{scope}{enum.name}.{value.name}" for value in enum.value)
    for message in messages:
        name = f"{scope}{message.name}"
        yield name
        for members in (message.field, message.oneof_decl, message.extension):
            yield from (f"{name}.{each.name}" for each in members)
        yield from _declared(message.nested_type, message.enum_type, f"{name}.")


async def described(server: Running, version: str) -> dict[str, FileDescriptorProto]:
    """Every file that a tool gets when it requests each listed service, with what it imports."""
    (answer,) = await asked(server, version, pb.ServerReflectionRequest(list_services="*"))
    listed = [service.name for service in answer.list_services_response.service]
    answers = await asked(
        server, version, *(pb.ServerReflectionRequest(file_containing_symbol=name) for name in listed)
    )
    for name, found in zip(listed, answers, strict=True):
        assert any(name in symbols(file) for file in files(found)), f"{name} is listed and cannot be described"
    return {file.name: file for found in answers for file in files(found)}


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_declared_name_is_found(server: Running, version: str) -> None:
    """Services, methods, messages, fields, oneofs, enums, their values and extensions: ours and the standard ones."""
    known = await described(server, version)
    wanted = [(name, file.name) for file in known.values() for name in symbols(file)]
    answers = await asked(
        server, version, *(pb.ServerReflectionRequest(file_containing_symbol=name) for name, _ in wanted)
    )
    lost = [
        name
        for (name, file), answer in zip(wanted, answers, strict=True)
        if file not in {each.name for each in files(answer)}
    ]
    assert lost == []
    names = {name for name, _ in wanted}
    assert {
        "backroom.commerce.v1.OrderService.PlaceOrder",
        "backroom.commerce.v1.GetProductRequest.key",
        "backroom.commerce.v1.ORDER_STATE_PAID",
        "backroom.common.v1.access",
        "grpc.health.v1.Health.Watch",
        "grpc.health.v1.HealthCheckResponse.SERVING",
        "grpc.reflection.v1.ServerReflection.ServerReflectionInfo",
        "grpc.reflection.v1alpha.ServerReflectionRequest.list_services",
    } <= names


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_name_that_its_parent_does_not_declare_is_not_found(server: Running, version: str) -> None:
    """An undeclared method, field or value of a parent that exists."""
    unknown = (
        "backroom.commerce.v1.OrderService.Steal",
        "backroom.commerce.v1.Order.no_field",
        "backroom.commerce.v1.OrderState.ORDER_STATE_LOST",
        "backroom.commerce.v1",
        "",
    )
    answers = await asked(
        server, version, *(pb.ServerReflectionRequest(file_containing_symbol=name) for name in unknown)
    )
    assert [answer.error_response.error_code for answer in answers] == [5] * len(unknown)


@pytest.mark.parametrize("version", VERSIONS)
async def test_extensions_are_found_by_what_they_extend(server: Running, version: str) -> None:
    """Tools read the options of methods and fields, which are extensions."""
    extended = "google.protobuf.MethodOptions"
    (numbers,) = await asked(server, version, pb.ServerReflectionRequest(all_extension_numbers_of_type=extended))
    found = numbers.all_extension_numbers_response.extension_number
    assert access_pb2.access.number in found
    for number in found:
        question = pb.ServerReflectionRequest()
        question.file_containing_extension.containing_type = extended
        question.file_containing_extension.extension_number = number
        (answer,) = await asked(server, version, question)
        assert any(number in {each.number for each in file.extension} for file in files(answer))
    (none,) = await asked(
        server, version, pb.ServerReflectionRequest(all_extension_numbers_of_type="grpc.reflection.v1.ErrorResponse")
    )
    assert not none.all_extension_numbers_response.extension_number


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_unknown_symbol_is_not_found_and_the_stream_goes_on(server: Running, version: str) -> None:
    """The error is a response in the stream."""
    unknown = pb.ServerReflectionRequest(file_containing_symbol="backroom.nothing.v1.NoService")
    nothing, services = await asked(server, version, unknown, pb.ServerReflectionRequest(list_services="*"))
    assert nothing.error_response.error_code == 5
    assert services.list_services_response.service


async def test_without_reflection_its_methods_do_not_exist(database: Database) -> None:
    """In neither version, while everything else does."""
    async with running(database, edge=Edge(reflection=False)) as opened:
        for version in VERSIONS:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await asked(opened, version, pb.ServerReflectionRequest(list_services="*"))
            found = refused(raised.value)
            assert (found.code, found.reason) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")
        assert await checked(opened.channel, "liveness") == "SERVING"
