from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

MICROSECONDS = 1_000_000
"""A second."""
NEW = tuple.__new__
"""Makes one of the many tuples below without the call that its own name costs: `NEW(SentEvent, (...))`."""
MALFORMED_TIME = -(2**63)
"""What a sent event has as its time that no calendar has."""


class Outcome(StrEnum):
    """What became of one event."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    """The same event was stored before, with the same content."""
    CONFLICT = "conflict"
    """An event of this source and id was stored before, with other content."""
    REFUSED = "refused"


class RefusalReason(StrEnum):
    """Why one event of a batch is refused."""

    FIELD_INVALID = "field_invalid"
    TIME_INVALID = "time_invalid"
    TOO_OLD = "too_old"
    TOO_FAR_AHEAD = "too_far_ahead"
    TOO_LARGE = "too_large"
    DATA_MALFORMED = "data_malformed"
    SOURCE_RESERVED = "source_reserved"
    TYPE_UNDECLARED = "type_undeclared"
    SCHEMA_MISMATCH = "schema_mismatch"


class SchemaMode(StrEnum):
    STRICT = "strict"
    LENIENT = "lenient"


class SentEvent(NamedTuple):
    """An event as it was sent; a tuple, since there are many."""

    id: str
    source: str
    type: str
    subject: str
    """Empty where it has none."""
    time: int | None
    """In microseconds since 1970; None where the time of reception counts."""
    data: str
    """JSON; empty where there is none."""
    attributes: Mapping[str, str]


class NewEvent(NamedTuple):
    """An event that is to be stored, unless it is known; `storage.events.encoding` makes it."""

    key: bytes
    """16 bytes, by which it is known: a hash of its source and id."""
    digest: bytes
    """16 bytes, of its content."""
    type: str
    time: int
    """In microseconds since 1970."""
    row: bytes
    """What is stored of it, in PostgreSQL's binary format, without its sequence."""


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """An event that is not stored, as it is kept."""

    id: UUID
    event: SentEvent
    reason: RefusalReason
    message: str
    attempts: int
    truncated: bool
    """Whether it cannot be retried: what is kept is not all of it."""
    account_id: UUID | None
    """Who sent it last; None where the server itself took it in."""
    create_time: datetime
    update_time: datetime
    """When it was last refused."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one event, and why."""

    outcome: Outcome
    reason: RefusalReason | None = None
    message: str = ""
    """Of what is refused or in conflict, why; of what is stored of a lenient type, how its data differs from the
    schema."""
    refused_event_id: UUID | None = None


STORED, DUPLICATE = Verdict(Outcome.STORED), Verdict(Outcome.DUPLICATE)
CONFLICT = Verdict(Outcome.CONFLICT, message="an event with this source and id is stored already, with other content")


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event."""

    sequence: int
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: str
    attributes: Mapping[str, str]
    receive_time: datetime


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; None, or nothing, means any."""

    types: frozenset[str] = frozenset()
    source: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedEventFilter:
    """Which refused events; None means any."""

    type: str | None = None
    source: str | None = None
    subject: str | None = None
    reason: RefusalReason | None = None
    ids: frozenset[UUID] | None = None
    complete: bool = False
    """Only those that can be retried."""


@dataclass(frozen=True, slots=True)
class WebhookMapping:
    """What the webhooks of one source become; its texts are templates, and `data` is a JSON pointer."""

    webhook_source: str
    source: str
    type: str
    subject: str
    """Empty for none."""
    time: str
    """Empty for when the webhook came in."""
    id: str
    """Empty for the sender's id of the webhook."""
    data: str
    """Empty for the whole body."""
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class EventType:
    """A declared type."""

    type: str
    description: str
    schema: str
    """JSON; empty where any data will do."""
    mode: SchemaMode
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime
