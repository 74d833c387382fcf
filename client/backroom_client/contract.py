"""What the client reads from the contract: the services, which of their methods take an access token, and which may be
repeated."""

from importlib import import_module
from typing import Any, Generic, Protocol, Self, TypeVar, cast, overload

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from backroom import stubs
from backroom.common.v1 import access_pb2

Channel = TypeVar("Channel", bound=grpc.Channel | grpc.aio.Channel)
Blocking = TypeVar("Blocking", covariant=True)
Awaited = TypeVar("Awaited", covariant=True)


class StubClass(Protocol[Blocking, Awaited]):
    """A generated stub, whose methods block or are awaited as its channel has it."""

    @overload
    def __call__(self, channel: grpc.Channel) -> Blocking: ...
    @overload
    def __call__(self, channel: grpc.aio.Channel) -> Awaited: ...


class Service(Generic[Blocking, Awaited]):
    """An attribute of `Services`: one service's stub, over the channel of whose attribute it is."""

    def __init__(self, stub: StubClass[Blocking, Awaited]) -> None:
        self._stub = stub

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, services: None, owner: Any = None) -> Self: ...
    @overload
    def __get__(self, services: "Services[grpc.Channel]", owner: Any = None) -> Blocking: ...
    @overload
    def __get__(self, services: "Services[grpc.aio.Channel]", owner: Any = None) -> Awaited: ...
    def __get__(self, services: Any, owner: Any = None) -> Any:
        if services is None:
            return self
        stub = services.__dict__[self._name] = self._stub(services.channel)  # and is found there from now on
        return stub

    @property
    def descriptor(self) -> ServiceDescriptor:
        stub = cast(type, self._stub)
        messages = import_module(stub.__module__.removesuffix("_grpc"))
        return cast(ServiceDescriptor, messages.DESCRIPTOR.services_by_name[stub.__name__.removesuffix("Stub")])


class Services(Generic[Channel]):
    """Backroom's services over one channel: a new one is a line here, for either kind of client."""

    identity = Service(stubs.IdentityServiceStub)
    access = Service(stubs.AccessServiceStub)
    accounts = Service(stubs.AccountServiceStub)
    audit = Service(stubs.AuditServiceStub)
    catalog = Service(stubs.CatalogServiceStub)
    inventory = Service(stubs.InventoryServiceStub)
    orders = Service(stubs.OrderServiceStub)
    payments = Service(stubs.PaymentServiceStub)
    webhooks = Service(stubs.WebhookServiceStub)
    flags = Service(stubs.FlagServiceStub)
    flag_sets = Service(stubs.FlagSetServiceStub)
    proposals = Service(stubs.ProposalServiceStub)
    bookings = Service(stubs.BookingServiceStub)
    tasks = Service(stubs.TaskServiceStub)
    articles = Service(stubs.ArticleServiceStub)
    events = Service(stubs.EventServiceStub)
    event_types = Service(stubs.EventTypeServiceStub)
    event_queries = Service(stubs.EventQueryServiceStub)
    webhook_mappings = Service(stubs.WebhookMappingServiceStub)
    files = Service(stubs.FileServiceStub)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel


SERVICES = tuple(each.descriptor for each in vars(Services).values() if isinstance(each, Service))


def path_of(method: MethodDescriptor) -> str:
    """The method's path on the wire, such as "/backroom.commerce.v1.OrderService/PlaceOrder"."""
    return f"/{method.containing_service.full_name}/{method.name}"


def is_repeatable(method: MethodDescriptor) -> bool:
    """Whether a call may be made again where nobody knows what became of it; a change then carries a request_id."""
    return method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN


PROTECTED = frozenset(
    path_of(method)
    for service in SERVICES
    for method in service.methods
    if not method.GetOptions().Extensions[access_pb2.access].public
)
"""The paths of the methods that take an access token; a public method, and the health check, must not be sent one."""
