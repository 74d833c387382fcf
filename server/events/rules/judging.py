"""What becomes of one event before it is known whether it is new: accepted, or refused with a reason."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

from server.events.rules.schemas import Schema, UnusableSchema
from storage.events.records import MALFORMED_TIME, MICROSECONDS, RefusalReason, SchemaMode, SentEvent

MAX_CHARACTERS = 200
"""Of an id, a source, a subject."""
MAX_EVENT_BYTES = 65_536
"""Of the data and the attributes together."""
MAX_ATTRIBUTES, MAX_ATTRIBUTE_NAME = 32, 20
OWN_SOURCE = "/backroom"
"""What the server itself reports of."""
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing earlier is stored, however long events are kept."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TYPE = re.compile(r"[A-Za-z0-9._/:-]{1,100}")
_SOURCE = re.compile(r"[^\s\x00-\x20\x7f-\x9f<>\"{}|\\^`]{1,200}")
_ATTRIBUTE = re.compile(rf"[a-z0-9]{{1,{MAX_ATTRIBUTE_NAME}}}")
_CONTEXT = frozenset({"id", "source", "type", "subject", "time", "data", "specversion"})
"""What CloudEvents calls by these names has a field of its own."""


@dataclass(frozen=True, slots=True)
class Period:
    """Between which times an event may have happened, in microseconds since 1970."""

    oldest: int
    newest: int

    @classmethod
    def at(cls, now: datetime, *, retention_days: int, ahead: timedelta) -> "Period":
        """`retention_days` is 0 where events are kept for ever."""
        kept_since = now - timedelta(days=retention_days) if retention_days else EARLIEST
        return cls(micros(max(kept_since, EARLIEST)), micros(now + ahead))


@dataclass(frozen=True, slots=True)
class CompiledType:
    """A declared type, ready to be used."""

    schema: Schema | UnusableSchema | None
    """None where any data will do."""
    mode: SchemaMode


@dataclass(frozen=True, slots=True)
class Refused:
    reason: RefusalReason
    message: str


@dataclass(frozen=True, slots=True)
class Differing:
    """The data does not match its type's schema, which is lenient: the event is accepted."""

    message: str


@dataclass(frozen=True, slots=True)
class Judge:
    """By what events are judged for a moment."""

    period: Period
    types: Mapping[str, CompiledType]
    declared_only: bool
    """Whether a type that is not declared is refused."""

    def judged(self, sent: SentEvent, *, own: bool = False) -> Refused | Differing | None:
        """None where there is nothing to say; `own` where the server itself reports it."""
        event_id, source, kind, subject, time, data, attributes = sent
        if refused := _origin_refused(source, kind, own):
            return refused
        # What is short and printable is not looked at any closer; what is not printable may still be allowed.
        short = 0 < len(event_id) <= MAX_CHARACTERS >= len(subject)
        plain = short and event_id.isprintable() and subject.isprintable()
        if not plain and (refused := _id_refused(event_id) or _text_refused("subject", subject)):
            return refused
        if time is not None and not self.period.oldest <= time <= self.period.newest:
            return self._out_of_period(time)
        small = 4 * len(data) <= MAX_EVENT_BYTES and not attributes
        if not small and (refused := _too_large(data, attributes) or _attributes_refused(attributes)):
            return refused
        return self._data_judged(kind, data)

    def _out_of_period(self, time: int) -> Refused:
        if time == MALFORMED_TIME:
            return Refused(
                RefusalReason.TIME_INVALID, "time: must be in the years 1 to 9999, with nanos below a second"
            )
        if time < self.period.oldest:
            earliest = _shown(self.period.oldest)
            return Refused(
                RefusalReason.TOO_OLD, f"time: {_shown(time)} is too old, since events are kept from {earliest}"
            )
        latest = _shown(self.period.newest)
        return Refused(
            RefusalReason.TOO_FAR_AHEAD, f"time: {_shown(time)} is in the future, and at most {latest} may be"
        )

    def _data_judged(self, kind: str, data: str) -> Refused | Differing | None:
        value: Any = None
        if data:
            try:
                value = orjson.loads(data)
            except orjson.JSONDecodeError as error:
                return Refused(RefusalReason.DATA_MALFORMED, f"data: is not JSON: {error}")
            if "\\u0000" in data and _holds_nul(value):
                return Refused(RefusalReason.DATA_MALFORMED, "data: has a text with the NUL character")
        declared = self.types.get(kind)
        if declared is None:
            if self.declared_only:
                return Refused(
                    RefusalReason.TYPE_UNDECLARED, "type: is not declared, and declared ones alone are taken"
                )
            return None
        if declared.schema is None or (problem := declared.schema.problem(value)) is None:
            return None
        if declared.mode is SchemaMode.LENIENT:
            return Differing(problem)
        return Refused(RefusalReason.SCHEMA_MISMATCH, problem)


def micros(time: datetime) -> int:
    """In microseconds since 1970."""
    since = time - _EPOCH
    return (since.days * 86_400 + since.seconds) * MICROSECONDS + since.microseconds


def time_at(microseconds: int) -> datetime:
    """The time of so many microseconds since 1970; raises OverflowError where the calendar has none."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _shown(microseconds: int) -> str:
    return time_at(microseconds).isoformat(timespec="seconds").replace("+00:00", "Z")


def is_own(source: str) -> bool:
    """Whether the server itself reports by this source."""
    return source.startswith(OWN_SOURCE) and source[len(OWN_SOURCE) :][:1] in ("", "/")


@lru_cache(4096)
def _origin_refused(source: str, kind: str, own: bool) -> Refused | None:
    """Of what many events have alike."""
    if not _SOURCE.fullmatch(source):
        said = f"source: must be a URI reference of 1 to {MAX_CHARACTERS} characters, without spaces"
        return Refused(RefusalReason.FIELD_INVALID, said)
    if not _TYPE.fullmatch(kind):
        said = "type: must be 1 to 100 letters, digits, dots, dashes, underscores, slashes and colons"
        return Refused(RefusalReason.FIELD_INVALID, said)
    if not own and is_own(source):
        return Refused(RefusalReason.SOURCE_RESERVED, f"source: {OWN_SOURCE} is the server's own")
    return None


def _id_refused(event_id: str) -> Refused | None:
    return _text_refused("id", event_id) if event_id else Refused(RefusalReason.FIELD_INVALID, "id: is required")


def _text_refused(name: str, text: str) -> Refused | None:
    if len(text) > MAX_CHARACTERS:
        said = f"{name}: must be at most {MAX_CHARACTERS} characters, and is {len(text):,}"
        return Refused(RefusalReason.FIELD_INVALID, said)
    if _CONTROL.search(text):
        said = f"{name}: must not contain NUL, line breaks or other control characters"
        return Refused(RefusalReason.FIELD_INVALID, said)
    return None


def _too_large(data: str, attributes: Mapping[str, str]) -> Refused | None:
    size = len(data.encode()) + sum(len(name.encode()) + len(value.encode()) for name, value in attributes.items())
    if size <= MAX_EVENT_BYTES:
        return None
    said = f"data: with the attributes, {size:,} bytes are more than {MAX_EVENT_BYTES:,}"
    return Refused(RefusalReason.TOO_LARGE, said)


def _attributes_refused(attributes: Mapping[str, str]) -> Refused | None:
    if len(attributes) > MAX_ATTRIBUTES:
        return Refused(RefusalReason.FIELD_INVALID, f"attributes: {len(attributes)} are more than {MAX_ATTRIBUTES}")
    for name, value in attributes.items():
        if not _ATTRIBUTE.fullmatch(name) or name in _CONTEXT:
            said = f"attributes: a name must be 1 to {MAX_ATTRIBUTE_NAME} lower-case letters and digits, and no field's"
            return Refused(RefusalReason.FIELD_INVALID, said)
        if "\0" in value:
            return Refused(RefusalReason.FIELD_INVALID, f"attributes.{name}: must not contain NUL")
    return None


def _holds_nul(value: Any) -> bool:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += [*each, *each.values()]
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str) and "\0" in each:
            return True
    return False
