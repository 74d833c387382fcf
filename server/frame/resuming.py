"""Resume tokens: how far a watch has told, so that another goes on right behind it, on any server."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.message import Message

from server.frame import base64url
from server.frame.errors import ResumeTokenExpired, ResumeTokenInvalid
from server.frame.wire import digest_of
from storage.snapshots import Snapshot

TOKEN_LIFE = timedelta(days=30)
"""For how long a token is good."""

_LARGEST = 2**63 - 1
_NUMBER = r"(?:0|[1-9][0-9]{0,18})"
_TIMELINE = r"[0-9a-f]{1,16}\.[0-9a-f]{8}"
_TOKEN = re.compile(rf"([0-9a-f]{{32}}) ([0-9]{{1,10}})(?: ({_TIMELINE}))? ([0-9:,]+)(?: ([0-9:,]+) ({_NUMBER}))?")
"""The digest, the time, the timeline, and one or two snapshots; older tokens have no timeline."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a watch has told: all that `since` shows, and of what is new as of `until` all up to a sequence."""

    time: datetime
    """When `since` was taken, or earlier."""
    timeline: str
    """Where it holds good; see `storage.timelines`."""
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
        text = f"{self.digest.hex()} {int(position.time.timestamp())} {position.timeline} {position.since.packed}"
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
    if position is not None and position.time < now - TOKEN_LIFE:
        raise ResumeTokenExpired
    return Watch(digest, position)


def _position(token: str, digest: bytes) -> Position:
    try:
        found = _TOKEN.fullmatch(base64url.decoded(token).decode("ascii"))
        if found is None or bytes.fromhex(found[1]) != digest:
            raise ResumeTokenInvalid
        time, since = datetime.fromtimestamp(int(found[2]), UTC), Snapshot.unpacked(found[4])
        until = Snapshot.unpacked(found[5]) if found[5] else None
        position = Position(time, found[3] or "", since, until, _sequence(found[6] or "0"))
    except ValueError:
        raise ResumeTokenInvalid from None
    if not position.timeline:  # nobody knows whether its transactions are still the same ones
        raise ResumeTokenExpired
    return position


def _sequence(text: str) -> int:
    if int(text) > _LARGEST:
        raise ValueError("not a sequence")
    return int(text)
