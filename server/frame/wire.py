"""Values that every module's messages hold: times."""

from datetime import UTC, datetime
from typing import overload

from google.protobuf.timestamp_pb2 import Timestamp

from server.frame.errors import FieldInvalid

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


def time_of(stamp: Timestamp, path: str) -> datetime:
    """The time in UTC, to the microsecond; raises FieldInvalid, naming the path, where it is out of bounds."""
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise FieldInvalid.of(path, "must be a time of the years 1 to 9999") from None
