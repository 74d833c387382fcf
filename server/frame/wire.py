"""What servicers and messages of every module need of the wire: times, enums, ids, digests."""

import hashlib
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar
from unicodedata import normalize
from uuid import UUID

import orjson
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from server.frame.errors import FieldInvalid, snake_case

Member = TypeVar("Member", bound=Enum)
Value = TypeVar("Value", bound=int)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_NAME_CHARACTERS = 64


def timestamp(time: datetime | None) -> Any:
    """What the constructor of a message takes for a field that is a Timestamp; none for an absent time.

    It fills the field from this; a Timestamp would be made first and then copied, which takes twice as long.
    """
    if time is None:
        return None
    since = time - _EPOCH
    return {"seconds": since.days * 86_400 + since.seconds, "nanos": since.microseconds * 1000}


def time_of(stamp: Timestamp) -> datetime:
    """The time in UTC, cut to the microsecond."""
    return stamp.ToDatetime(UTC)


def bound_of(stamp: Timestamp) -> datetime:
    """The same for the bound of a period, which begins with it or ends before it: rounded up.

    What is kept has microseconds: of it, what is not before the one is not before the other.
    """
    beyond = timedelta(microseconds=1) if stamp.nanos % 1000 else timedelta(0)
    return min(time_of(stamp), datetime.max.replace(tzinfo=UTC) - beyond) + beyond


def period_of(request: Any) -> tuple[datetime | None, datetime | None]:
    """From when on and until before when a List request looks: its `start_time` and `end_time`, where they are set."""
    start, end = (
        bound_of(getattr(request, name)) if request.HasField(name) else None for name in ("start_time", "end_time")
    )
    return start, end


def id_text(id: UUID | None) -> str:  # noqa: A002 - what it takes
    """An id as text, empty for none; `str` takes twice as long, and most messages of a list have several."""
    return "" if id is None else orjson.dumps(id)[1:-1].decode()


def optional_uuid(text: str) -> UUID | None:
    """The id in a field that may be empty, as the contract's rule of this name has it."""
    return UUID(text) if text else None


def optional_name(text: str, path: str) -> str | None:
    """The text by which a caller names something, in Unicode's form NFC, so that two that look alike are one.

    None where the field is empty. Raises FieldInvalid, naming the path, where that form is longer than 64 characters: a
    few characters become two or three in it, and what the server sent could not be sent back.
    """
    name = normalize("NFC", text)
    if len(name) > _MAX_NAME_CHARACTERS:
        raise FieldInvalid.of(path, f"must be at most {_MAX_NAME_CHARACTERS} characters once normalized (NFC)")
    return name or None


def require(resource: Message, *fields: str) -> None:
    """Raises FieldInvalid, naming the first of these fields of a resource that is not set."""
    for field in fields:
        is_message = resource.DESCRIPTOR.fields_by_name[field].message_type is not None
        if not (resource.HasField(field) if is_message else getattr(resource, field)):
            raise FieldInvalid.of(f"{snake_case(resource.DESCRIPTOR.name)}.{field}", "is required")


def digest_of(*messages: Message, secret: bytes = b"") -> bytes:
    """What distinguishes one content from another: 32 bytes over the messages' types and fields."""
    digest = hashlib.blake2b(digest_size=32, key=secret)
    for message in messages:
        digest.update(message.DESCRIPTOR.full_name.encode())
        content = message.SerializeToString(deterministic=True)
        digest.update(len(content).to_bytes(8))
        digest.update(content)
    return digest.digest()


class WireEnum(Protocol[Value]):
    """An enum as the stubs have it."""

    @property
    def DESCRIPTOR(self) -> EnumDescriptor: ...  # noqa: N802 - protobuf's name for it
    def items(self) -> list[tuple[str, Value]]: ...


class EnumNames(Generic[Member, Value]):
    """A record's enum and the wire's, value by value under one name, such as PAID and ORDER_STATE_PAID."""

    def __init__(self, members: type[Member], values: WireEnum[Value]) -> None:
        """Raises ValueError, naming them, where the two do not have the same names."""
        prefix = values.DESCRIPTOR.values[0].name.removesuffix("UNSPECIFIED")
        wire = {name.removeprefix(prefix): value for name, value in values.items() if value}
        if differing := wire.keys() ^ {member.name for member in members}:
            raise ValueError(f"{members.__name__} and {values.DESCRIPTOR.full_name} differ: {sorted(differing)}")
        self._values = {member: wire[member.name] for member in members}
        self._members = {value: member for member, value in self._values.items()}

    def wire(self, member: Member) -> Value:
        return self._values[member]

    def member(self, value: Value) -> Member:
        """Of a field that must be specified."""
        return self._members[value]

    def find(self, value: Value) -> Member | None:
        """None where it is not specified, which in a filter means any."""
        return self._members[value] if value else None
