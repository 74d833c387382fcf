"""What reflection can describe: every name of a served contract, and its own newer version."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2

V1 = "grpc.reflection.v1.ServerReflection"


class Describable:
    """A pool of descriptors as the library's reflection queries it, which finds more by its symbol.

    protobuf's own finds no method, no oneof, and no value of a nested enum. The library brings v1alpha of reflection
    alone; v1 is the same but for the package's name, and lies in a pool of its own, since the shared one may one day
    get it from the library.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._newer = DescriptorPool()
        self._newer.AddSerializedFile(_v1().SerializeToString())

    def FindFileByName(self, name: str) -> FileDescriptor:  # noqa: N802 - the names are protobuf's
        """Raises KeyError."""
        try:
            return self._pool.FindFileByName(name)  # type: ignore[no-any-return]  # so are the types
        except KeyError:
            return self._newer.FindFileByName(name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802
        """Raises KeyError."""
        parent = symbol.rpartition(".")[0]
        for pool in (self._pool, self._newer):
            for name in (symbol, parent):
                try:
                    file: FileDescriptor = pool.FindFileContainingSymbol(name)
                except KeyError:
                    continue
                if name == symbol or symbol in _members(file):
                    return file
        raise KeyError(symbol)

    def FindMessageTypeByName(self, name: str) -> Descriptor:  # noqa: N802
        """Raises KeyError."""
        try:
            return self._pool.FindMessageTypeByName(name)  # type: ignore[no-any-return]  # as above
        except KeyError:
            return self._newer.FindMessageTypeByName(name)

    def FindExtensionByNumber(self, message: Descriptor, number: int) -> FieldDescriptor:  # noqa: N802
        """Raises KeyError."""
        return self._pool.FindExtensionByNumber(message, number)  # type: ignore[no-any-return]  # as above

    def FindAllExtensions(self, message: Descriptor) -> list[FieldDescriptor]:  # noqa: N802
        # A message of the other pool has none.
        return list(self._pool.FindAllExtensions(message)) if message.file.pool is self._pool else []


def _v1() -> FileDescriptorProto:
    """The file of reflection v1, made of v1alpha's."""
    file = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name = "grpc/reflection/v1/reflection.proto"
    file.package = "grpc.reflection.v1"
    file.ClearField("options")  # where its code lies in other languages, and that it is deprecated
    for message in file.message_type:
        for field in (field for field in message.field if field.type_name):
            field.type_name = field.type_name.replace(".v1alpha.", ".v1.")
    for method in file.service[0].method:
        method.input_type = method.input_type.replace(".v1alpha.", ".v1.")
        method.output_type = method.output_type.replace(".v1alpha.", ".v1.")
    return file


def _members(file: FileDescriptor) -> set[str]:
    """The full names of all that is declared inside of a file's messages, enums and services."""
    enums, services = file.enum_types_by_name.values(), file.services_by_name.values()
    inside = (_inside_message(message) for message in file.message_types_by_name.values())
    return {
        *chain.from_iterable(inside),
        *chain.from_iterable(_values(enum) for enum in enums),
        *(method.full_name for service in services for method in service.methods),
    }


def _inside_message(message: Any) -> Iterator[str]:
    yield from (each.full_name for each in (*message.fields, *message.oneofs, *message.extensions))
    for enum in message.enum_types:
        yield enum.full_name
        yield from _values(enum)
    for nested in message.nested_types:
        yield nested.full_name
        yield from _inside_message(nested)


def _values(enum: Any) -> Iterator[str]:
    """A value's full name is a sibling of its enum's; tools look for it inside of the enum as well."""
    scope = enum.full_name.rpartition(".")[0]
    for value in enum.values:
        yield f"{scope}.{value.name}"
        yield f"{enum.full_name}.{value.name}"
