"""What the contract says of each method, read from the descriptors once at the start."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor

from backroom.common.v1 import access_pb2, limits_pb2
from server.frame.addresses import Network

BODY_BYTES = 16 * 1024
"""How large a message may be where its method does not say."""

SMALLEST_LIMIT_BYTES, MAX_LIMIT_BYTES = 1024, 512 * 1024
"""Between these a method may say how large a message it takes."""
MAX_JUDGED_BYTES = 992 * 1024
"""The same where a list of the message is judged one by one: so one element that is too large is refused alone."""


class ContractError(Exception):
    """The contract promises what this server cannot keep; the server does not start."""


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Who may call a method: anyone, anyone signed in, or whoever has a permission."""

    public: bool = False
    permission: str | None = None
    open_to: tuple[Network, ...] = ()
    """From these networks anyone may."""
    while_away: bool = False
    """Whether who was let in before may go on calling while the database is away."""


PUBLIC = AccessRule(public=True)


def rules_of(services: Iterable[ServiceDescriptor], known: frozenset[str]) -> Mapping[str, AccessRule]:
    """The rule of each method, by its path, such as "/backroom.commerce.v1.OrderService/PlaceOrder".

    Raises ContractError, naming the method, where a rule is missing or names a permission that no module declares.
    """
    methods = (method for service in services for method in service.methods)
    return {f"/{method.containing_service.full_name}/{method.name}": _rule_of(method, known) for method in methods}


def _rule_of(method: MethodDescriptor, known: frozenset[str]) -> AccessRule:
    access = method.GetOptions().Extensions[access_pb2.access]
    match access.WhichOneof("rule"):
        case "public" if access.public:
            return PUBLIC
        case "signed_in" if access.signed_in:
            return AccessRule()
        case "permission" if access.permission in known:
            return AccessRule(permission=access.permission)
        case "permission":
            raise ContractError(f"{method.full_name}: no module declares the permission {access.permission!r}")
        case _:
            raise ContractError(f"{method.full_name}: the option (backroom.common.v1.access) is missing")


def largest_bodies_of(services: Iterable[ServiceDescriptor]) -> Mapping[str, int]:
    """How large a message each method takes, in bytes, by its path.

    Raises ContractError, naming the method, where it says less than 1 KiB, or more than 512: than 992 where a list is
    judged one by one.
    """
    methods = (method for service in services for method in service.methods)
    return {f"/{method.containing_service.full_name}/{method.name}": _largest_body_of(method) for method in methods}


def _largest_body_of(method: MethodDescriptor) -> int:
    options = method.GetOptions()
    if not options.HasExtension(limits_pb2.limits):
        return BODY_BYTES
    largest: int = options.Extensions[limits_pb2.limits].largest_body_bytes
    most = MAX_JUDGED_BYTES if any(map(is_judged_one_by_one, method.input_type.fields)) else MAX_LIMIT_BYTES
    if not SMALLEST_LIMIT_BYTES <= largest <= most:
        raise ContractError(
            f"{method.full_name}: (backroom.common.v1.limits).largest_body_bytes must be "
            f"{SMALLEST_LIMIT_BYTES:,} to {most:,}, and is {largest:,}"
        )
    return largest


def is_judged_one_by_one(field: FieldDescriptor) -> bool:
    """Whether the service answers for each element of a list by itself, also for one that is malformed."""
    judged: bool = field.GetOptions().Extensions[limits_pb2.judged_one_by_one]
    return judged
