"""What a receiver answers, read once: nothing that it said goes any further than this."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MAX_WAIT = timedelta(days=1)

_DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
"""The three forms of a date in HTTP (RFC 9110, 5.6.7)."""
_MAX_TEXT = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request, in values of our own, each of which is bounded: an attempt is counted whatever came."""

    status: int = 0
    """The HTTP status, of three digits; 0 where there was no answer."""
    wait: timedelta | datetime = timedelta(0)
    """How long it asks us to wait, up to MAX_WAIT, or until when, in UTC."""
    error: str = ""
    """Why there was no answer, in a few words of our own."""

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status <= 299

    @property
    def failure(self) -> str:
        """Why the attempt failed; empty where it did not."""
        return "" if self.succeeded else self.error or f"HTTP {self.status}"

    def asks_for(self, now: datetime) -> timedelta:
        """How long it asks us to wait from a time on, up to MAX_WAIT."""
        wait = self.wait - now if isinstance(self.wait, datetime) else self.wait
        return max(timedelta(0), min(wait, MAX_WAIT))


def retry_after(text: str) -> timedelta | datetime:
    """What the header of that name asks for; what is not understood counts as absent."""
    text = text.strip()[:_MAX_TEXT]
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), MAX_WAIT)
    for form in _DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return timedelta(0)
