from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

CHANNEL = "backroom_flags"
"""Notified of each change as it commits, with its configuration version."""


class FlagType(StrEnum):
    BOOLEAN = "boolean"
    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    OBJECT = "object"


class FlagState(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"


class FlagChange(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    ARCHIVED = "archived"
    ROLLED_BACK = "rolled_back"
    IMPORTED = "imported"
    ROLLOUT = "rollout"
    SWITCHED_OFF = "switched_off"
    SCHEDULED = "scheduled"


class ProposalState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    OUTDATED = "outdated"


class ScheduleState(StrEnum):
    PROPOSED = "proposed"
    ACTIVE = "active"
    PAUSED = "paused"
    DONE = "done"
    CANCELED = "canceled"
    FAILED = "failed"


class UsagePeriod(StrEnum):
    MINUTE = "minute"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """Another flag of the same set, and the variants of it that will do."""

    flag_key: str
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag as it stands, or stood."""

    id: UUID
    flag_set_id: str
    key: str
    type: FlagType
    state: FlagState
    variants: Mapping[str, Any]
    default_variant: str
    """Empty for the default in the client's own code."""
    targeting: Mapping[str, Any]
    """Empty for none."""
    metadata: Mapping[str, Any]
    prerequisites: tuple[Prerequisite, ...]
    description: str
    owner: str
    ticket: str
    expire_time: datetime | None
    archived: bool
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class FlagVersion:
    """A flag as a change left it."""

    flag: Flag
    change: FlagChange
    comment: str
    changed_by: UUID
    approved_by: UUID | None
    configuration_version: int


@dataclass(frozen=True, slots=True)
class FlagSet:
    """A flag set, and what applies to all of its flags."""

    id: str
    metadata: Mapping[str, Any]
    description: str
    version: int
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Segment:
    """A rule with a name."""

    id: UUID
    flag_set_id: str
    name: str
    rule: Any
    description: str
    archived: bool
    """Whether it was deleted; the row stays, so that servers learn of it."""
    version: int
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Configuration:
    """What changed after one configuration version, up to another, including archived flags and segments."""

    version: int
    flags: Sequence[Flag]
    segments: Sequence[Segment]
    flag_sets: Sequence[FlagSet]
    complete: bool = False
    """Whether this is everything, and replaces what was read before."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that waits for a second pair of eyes."""

    id: UUID
    flag_set_id: str
    call: str
    """The method that proposed it, such as "UpdateFlag"."""
    subject: str
    """What it changes, such as "flag/<set>/<key>"."""
    base_version: int
    """The subject's version when it was proposed; 0 where there was none."""
    content: Mapping[str, Any]
    """The proposed change, in the form of the code that proposed it."""
    comment: str
    state: ProposalState
    proposed_by: UUID
    decided_by: UUID | None
    decision_comment: str
    create_time: datetime
    decide_time: datetime | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Scheduled changes of one flag."""

    id: UUID
    flag_set_id: str
    flag_key: str
    steps: Sequence[Mapping[str, Any]]
    """Each with its time and its change, in the form of the code that scheduled it."""
    take_times: tuple[datetime, ...]
    """When the steps were taken, of those that were."""
    next_time: datetime | None
    """From when on the next step is to be taken; None where none is."""
    state: ScheduleState
    error: str
    comment: str
    created_by: UUID
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Served:
    """How often a variant was served in a period."""

    flag_set_id: str
    flag_key: str
    variant: str
    """Empty where none was."""
    start_time: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Usage:
    """How a flag was served in all the days since a day."""

    flag_key: str
    last_day: datetime
    variants: tuple[str, ...] = field(default=())
    """All that were served since then."""
