"""The outcome of a gRPC call, read from the headers that end it."""

import base64
import binascii
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote

from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from load.sample import Refused

_PASSING = frozenset({"RESOURCE_EXHAUSTED", "UNAVAILABLE"})
"""The codes of temporary refusals."""


class Failed(Exception):
    """A call ended with a status that is neither OK nor a temporary refusal."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is gRPC's name of it, such as NOT_FOUND."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def failure_in(headers: Mapping[str, str]) -> Exception | None:
    """Refused or Failed, from the headers that end a response; None on success."""
    status = headers.get("grpc-status", "")
    if status == "0":
        return None
    if not status.isdecimal():
        # An intermediary answered, which does not speak gRPC.
        return Failed("UNKNOWN", f"an answer without a gRPC status, of HTTP status {headers.get(':status', 'none')}")
    code = _named(int(status))
    if code in _PASSING:
        return Refused(code, _retry_after_in(headers.get("grpc-status-details-bin", "")))
    return Failed(code, unquote(headers.get("grpc-message", "")))


def failure_from(status: status_pb2.Status) -> Exception:
    """The same for a status inside a message that is not OK."""
    code = _named(status.code)
    return Refused(code, _retry_after(status)) if code in _PASSING else Failed(code, status.message)


def _named(code: int) -> str:
    return code_pb2.Code.Name(code) if code in code_pb2.Code.values() else "UNKNOWN"


@lru_cache(maxsize=256)
def _retry_after_in(details: str) -> float | None:
    """From a status in base64, whose padding may be missing; an overloaded server repeats the same one."""
    try:
        return _retry_after(status_pb2.Status.FromString(base64.b64decode(details + "=" * (-len(details) % 4))))
    except (binascii.Error, DecodeError):
        return None


def _retry_after(status: status_pb2.Status) -> float | None:
    """In seconds; None if the status has none."""
    retry = error_details_pb2.RetryInfo()
    if not any(detail.Unpack(retry) for detail in status.details):
        return None
    return retry.retry_delay.ToTimedelta().total_seconds()
