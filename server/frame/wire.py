"""What servicers and messages of every module need of the wire: times, which are well formed by then, and digests."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import overload

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@overload
def timestamp(time: datetime) -> Timestamp: ...
@overload
def timestamp(time: None) -> None: ...
@overload
def timestamp(time: datetime | None) -> Timestamp | None: ...
def timestamp(time: datetime | None) -> Timestamp | None:
    """An absent time is an absent message."""
    if time is None:
        return None
    since = time - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def time_of(stamp: Timestamp) -> datetime:
    """The time in UTC, cut to the microsecond."""
    return stamp.ToDatetime(UTC)


def bound_of(stamp: Timestamp) -> datetime:
    """The same for the bound of a stretch of time, which begins with it or ends before it: rounded up.

    What is kept has microseconds: of it, what is not before the one is not before the other.
    """
    beyond = timedelta(microseconds=1) if stamp.nanos % 1000 else timedelta(0)
    return min(time_of(stamp), datetime.max.replace(tzinfo=UTC) - beyond) + beyond


def digest_of(*messages: Message, secret: bytes = b"") -> bytes:
    """What tells one content from another: 32 bytes over the messages' types and fields."""
    digest = hashlib.blake2b(digest_size=32, key=secret)
    for message in messages:
        digest.update(message.DESCRIPTOR.full_name.encode())
        content = message.SerializeToString(deterministic=True)
        digest.update(len(content).to_bytes(8))
        digest.update(content)
    return digest.digest()
