"""What all schemes read in a request's headers.

A header counts only where it is there once, not empty, and ASCII: two of them would be read one way here and another
way elsewhere.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from server.webhooks.errors import SignatureInvalid

TOLERANCE = timedelta(minutes=5)
"""How far a request's time may lie from ours, either way."""

Headers = Sequence[tuple[str, str]]
"""A request's headers as they came, the names in small letters."""

_MAX_CHARACTERS = 2048
"""In characters, of a header that is read."""
_EVENT_ID = re.compile(r"[!-~]{1,255}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
"""Whole seconds since 1970."""


def single_header(headers: Headers, name: str) -> str:
    """The value of a header that is there once; raises SignatureInvalid."""
    values = [value for known, value in headers if known == name]
    # Text beyond ASCII cannot be compared in constant time; each of a long one's signatures would be compared.
    if len(values) != 1 or not 0 < len(values[0]) <= _MAX_CHARACTERS or not values[0].isascii():
        raise SignatureInvalid
    return values[0]


def valid_event_id(value: object) -> str:
    """Raises SignatureInvalid where it is none: text of at most 255 letters, digits and signs of ASCII."""
    if not isinstance(value, str) or not _EVENT_ID.fullmatch(value):
        raise SignatureInvalid
    return value


def recent(text: str, now: datetime) -> datetime:
    """When a request was sent; raises SignatureInvalid where that is not about now."""
    if not _TIMESTAMP.fullmatch(text) or abs(int(text) - now.timestamp()) > TOLERANCE.total_seconds():
        raise SignatureInvalid
    return datetime.fromtimestamp(int(text), UTC)
