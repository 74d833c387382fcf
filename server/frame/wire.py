"""Values that every module's messages hold: times."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from server.frame.errors import FieldInvalid


def timestamp(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def time_of(stamp: Timestamp, path: str) -> datetime:
    """The time in UTC, to the microsecond; raises FieldInvalid, naming the path, where it is out of bounds."""
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise FieldInvalid.of(path, "must be a time of the years 1 to 9999") from None
