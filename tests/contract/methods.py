"""Every method of every service of the contract, read from the descriptors: a new one is tested automatically."""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from server.frame.contract import AccessRule, is_judged_one_by_one, rules_of
from tests.contract.proto_comments import PROTO, module_of, service_files
from tests.fixtures.roles import PERMISSIONS
from tests.fixtures.servers import Api


def _services() -> Iterator[ServiceDescriptor]:
    for path in service_files():
        *folders, file = path.relative_to(PROTO.parent).with_suffix("").parts
        stubs = importlib.import_module(".".join((*folders, f"{file}_pb2")))
        yield from stubs.DESCRIPTOR.services_by_name.values()


SERVICES: Sequence[ServiceDescriptor] = tuple(_services())


@dataclass(frozen=True)
class Method:
    """One method of the contract."""

    descriptor: MethodDescriptor

    @property
    def name(self) -> str:
        return str(self.descriptor.name)

    @property
    def module(self) -> str:
        """The module's name, such as commerce."""
        return module_of(self.descriptor.containing_service.full_name)

    @property
    def path(self) -> str:
        return f"/{self.descriptor.containing_service.full_name}/{self.name}"

    @property
    def rule(self) -> AccessRule:
        return rules_of([self.descriptor.containing_service], PERMISSIONS)[self.path]

    @property
    def takes(self) -> Descriptor:
        return self.descriptor.input_type

    @property
    def changes(self) -> bool:
        """Whether calling it changes anything."""
        return bool(self.descriptor.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS)

    @property
    def is_watch(self) -> bool:
        """Whether it streams until it is cancelled."""
        return bool(self.descriptor.server_streaming and not self.descriptor.client_streaming)

    @property
    def judges_one_by_one(self) -> bool:
        """Whether it answers for each element of a list by itself, and each is known by a key of its own."""
        return any(map(is_judged_one_by_one, self.takes.fields))

    @property
    def is_unary(self) -> bool:
        return not (self.descriptor.client_streaming or self.descriptor.server_streaming)

    def request(self, **fields: Any) -> Message:
        return GetMessageClass(self.takes)(**fields)

    def __str__(self) -> str:
        return self.path


METHODS = tuple(Method(method) for service in SERVICES for method in service.methods)
WATCHES = {str(method) for method in METHODS if method.is_watch}
LISTS = tuple(method for method in METHODS if "page_token" in method.takes.fields_by_name)


async def sent(api: Api, path: object, body: bytes) -> list[bytes]:
    """Sends a raw body to a method, and returns the raw responses; for a watch, the first.

    Any kind of method accepts a stream on the wire; here it holds one message. It is sent in one piece with the
    call, because grpc.aio's streaming clients report INTERNAL if they still write to a call that has ended.
    """
    metadata = (("authorization", f"Bearer {api.token}"),) if api.token else ()
    stub: Any = api.channel.unary_stream(str(path))
    call = stub(body, metadata=metadata, timeout=30)
    if str(path) not in WATCHES:
        return [answer async for answer in call]
    try:
        return [await anext(aiter(call))]
    finally:
        call.cancel()


async def message_sent(api: Api, method: Method, message: Message) -> list[bytes]:
    return await sent(api, method, message.SerializeToString())
