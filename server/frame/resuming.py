"""Resume tokens: how far a watch has told, so that another goes on right behind it, on any server."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from typing import Any

from google.protobuf.message import Message

from server.frame import base64url
from server.frame.errors import ResumeTokenExpired, ResumeTokenInvalid
from server.frame.repeating import digest_of

KEPT = timedelta(days=30)
"""For how long a token is good."""

LONGEST_SNAPSHOT = 1400
"""In characters, in a token: two of them fit into the 4,096 that the contract allows."""

_LARGEST = 2**63 - 1
_EPOCH = 2**32
"""Transactions are counted by this many, and the first number of each is none."""
_NUMBER = r"(?:0|[1-9][0-9]{0,18})"
_SNAPSHOT = re.compile(rf"({_NUMBER}):({_NUMBER}):((?:{_NUMBER}(?:,{_NUMBER})*)?)")
_TOKEN = re.compile(rf"([0-9a-f]{{32}}) ([0-9]{{1,10}}) ([0-9:,]+)(?: ([0-9:,]+) ({_NUMBER}))?")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions had committed at a moment, as PostgreSQL's pg_snapshot tells it; of two, one covers the other.

    Raises ValueError where PostgreSQL would not take it.
    """

    xmin: int
    """All transactions below this one had ended."""
    xmax: int
    """None from this one on had."""
    under_way: tuple[int, ...] = ()
    """Those between that had not, in their order."""

    def __post_init__(self) -> None:
        if not 0 < self.xmin <= self.xmax <= _LARGEST or not all(each % _EPOCH for each in (self.xmin, self.xmax)):
            raise ValueError("not a snapshot")
        if any(one >= other for one, other in pairwise(self.under_way)):
            raise ValueError("not in order")
        if self.under_way and not self.xmin <= self.under_way[0] <= self.under_way[-1] < self.xmax:
            raise ValueError("not under way")

    @classmethod
    def of(cls, text: str) -> "Snapshot":
        """Reads PostgreSQL's text."""
        return cls(*_numbers(text))

    def __str__(self) -> str:
        """PostgreSQL's text."""
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, self.under_way))}"

    @classmethod
    def unpacked(cls, text: str) -> "Snapshot":
        xmin, distance, steps = _numbers(text)
        return cls(xmin, xmin + distance, tuple(accumulate(steps, initial=xmin))[1:])

    @property
    def fits(self) -> bool:
        """Whether a token can hold it; not while hundreds of transactions are under way at once."""
        return len(self.packed) <= LONGEST_SNAPSHOT

    @property
    def packed(self) -> str:
        """A shorter text: each number as its distance from the one before."""
        steps = (other - one for one, other in pairwise((self.xmin, *self.under_way)))
        return f"{self.xmin}:{self.xmax - self.xmin}:{','.join(map(str, steps))}"

    def covers(self, other: "Snapshot") -> bool:
        """Whether all that had committed in the other had in this one."""
        if other.xmax > self.xmax:
            return False
        known = set(other.under_way)
        return all(xid in known or xid >= other.xmax for xid in self.under_way)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a watch has told: all that `since` shows, and of what is new as of `until` all up to a sequence."""

    time: datetime
    """When `since` was taken, or earlier."""
    since: Snapshot
    until: Snapshot | None = None
    after: int = 0

    @property
    def newest(self) -> Snapshot:
        return self.until or self.since


@dataclass(frozen=True, slots=True)
class Watch:
    """Which watch is asked for: its kind and filters, and where it goes on; from now on where that is None."""

    digest: bytes
    position: Position | None

    def token(self, position: Position) -> str:
        text = f"{self.digest.hex()} {int(position.time.timestamp())} {position.since.packed}"
        if position.until is not None:
            text += f" {position.until.packed} {position.after}"
        return base64url.encoded(text.encode())


def watch_of(request: Any, now: datetime) -> Watch:
    """The watch that a request asks for; raises ResumeTokenInvalid, ResumeTokenExpired."""
    filters: Message = type(request)()
    filters.CopyFrom(request)
    filters.ClearField("resume_token")
    for field, values in filters.ListFields():
        if field.is_repeated:  # a set of wanted things, in whatever order they were given
            wanted = sorted(set(values))
            filters.ClearField(field.name)
            getattr(filters, field.name).extend(wanted)
    digest = digest_of(filters)[:16]
    position = _position(request.resume_token, digest) if request.resume_token else None
    if position is not None and position.time < now - KEPT:
        raise ResumeTokenExpired
    return Watch(digest, position)


def _position(token: str, digest: bytes) -> Position:
    try:
        found = _TOKEN.fullmatch(base64url.decoded(token).decode("ascii"))
        if found is None or bytes.fromhex(found[1]) != digest:
            raise ResumeTokenInvalid
        time = datetime.fromtimestamp(int(found[2]), UTC)
        until = Snapshot.unpacked(found[4]) if found[4] else None
        return Position(time, Snapshot.unpacked(found[3]), until, _sequence(found[5] or "0"))
    except ValueError:
        raise ResumeTokenInvalid from None


def _sequence(text: str) -> int:
    if int(text) > _LARGEST:
        raise ValueError("not a sequence")
    return int(text)


def _numbers(text: str) -> tuple[int, int, tuple[int, ...]]:
    found = _SNAPSHOT.fullmatch(text)
    if found is None:
        raise ValueError("not a snapshot")
    return int(found[1]), int(found[2]), tuple(int(each) for each in found[3].split(",") if each)
