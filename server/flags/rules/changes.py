"""What any change makes of its flag set, and whether clients could evaluate the result."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from server.flags.errors import FlagInUse, FlagInvalid, TooManyFlags
from server.flags.rules.validating import (
    Written,
    dependents_of,
    problems_of_flag,
    problems_of_segment,
)
from server.frame.editing import Edit, check_etag
from server.frame.errors import FieldViolation, PreconditionViolation
from storage.flags.records import Flag, FlagChange, FlagSet, FlagVersion, Schedule, Segment

MAX_FLAGS = 10_000
"""Of one flag set, archived ones among them."""
MAX_SEGMENTS = 1_000
MAX_SETS = 1_000


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes something, and who approved of it, where somebody had to."""

    changed_by: UUID
    approved_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """When a change is made, and where the ids of what it makes come from."""

    time: datetime
    new_id: Callable[[], UUID]


@dataclass(frozen=True, slots=True)
class SetState:
    """A flag set as it stands, with its flags and segments by name, archived ones among them."""

    flag_set: FlagSet | None
    """None where there is none of this id yet."""
    flags: Mapping[str, Flag]
    segments: Mapping[str, Segment]
    set_count: int = 0
    """How many flag sets there are; counted where this one would be new."""
    then: Flag | None = None
    """What a rollback goes back to."""

    def after(self, outcome: "Outcome") -> "SetState":
        flags = {each.key: each for each in (*outcome.new, *outcome.changed)}
        segments = {each.name: each for each in (*outcome.new_segments, *outcome.changed_segments)}
        return replace(self, flags={**self.flags, **flags}, segments={**self.segments, **segments})

    def written(self) -> Written:
        """What of it clients evaluate."""
        return Written(
            {key: each for key, each in self.flags.items() if not each.archived},
            {name: each.rule for name, each in self.segments.items() if not each.archived},
        )


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did, or would do."""

    created: int
    updated: int
    unchanged: int
    archived: int
    changed_segments: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What a change is about, as it stands or would be: one of these, or none where there is none yet."""

    flag: Flag | None = None
    flag_set: FlagSet | None = None
    segment: Segment | None = None
    deleted_segment: Segment | None = None
    schedule: Schedule | None = None
    summary: ImportSummary | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change makes of a flag set; what stays as it is is not named."""

    shown: Shown
    change: FlagChange = FlagChange.UPDATED
    """What the versions of the flags say."""
    new: Sequence[Flag] = ()
    changed: Sequence[Flag] = ()
    new_segments: Sequence[Segment] = ()
    changed_segments: Sequence[Segment] = ()
    flag_set: FlagSet | None = None

    def versions(
        self, author: Author, comment: str, version: int, told_as: FlagChange | None = None
    ) -> Sequence[FlagVersion]:
        """What the flags become, at a configuration version."""
        return [
            FlagVersion(each, told_as or self._of(each), comment, author.changed_by, author.approved_by, version)
            for each in (*self.new, *self.changed)
        ]

    def _of(self, flag: Flag) -> FlagChange:
        imported = self.change is FlagChange.IMPORTED
        return FlagChange.ARCHIVED if imported and flag.archived else self.change

    def resources(self) -> Iterator[str]:
        """What it changes, as the audit names it."""
        yield from (flag_resource(each.flag_set_id, each.key) for each in (*self.new, *self.changed))
        segments = (*self.new_segments, *self.changed_segments)
        yield from (segment_resource(each.flag_set_id, each.name) for each in segments)
        if self.flag_set is not None:
            yield set_resource(self.flag_set.id)


class Change(Protocol):
    """A change that somebody asks for."""

    @property
    def call(self) -> str:
        """The method that asks for it, such as "UpdateFlag"."""
        ...

    @property
    def flag_set_id(self) -> str: ...
    @property
    def comment(self) -> str: ...

    def resource(self) -> str:
        """What it is about, as the audit names it."""
        ...

    def bases(self, state: SetState) -> Mapping[str, int]:
        """The versions of what it is about; 0 for what there is not. Where they differ, it is another change."""
        ...

    def standing(self, state: SetState) -> Shown:
        """What it is about, as it stands."""
        ...

    def decided(self, state: SetState, moment: Moment) -> Outcome:
        """What it makes of the flag set; raises why it cannot be made. See `check_outcome` for the rest."""
        ...


def flag_resource(flag_set_id: str, key: str) -> str:
    return f"flag/{flag_set_id}/{key}"


def segment_resource(flag_set_id: str, name: str) -> str:
    return f"segment/{flag_set_id}/{name}"


def set_resource(flag_set_id: str) -> str:
    return f"flag_set/{flag_set_id}"


def version_of(record: Flag | Segment | FlagSet | None) -> int:
    return record.version if record is not None else 0


def check_read(record: Flag | Segment | FlagSet, etag: str) -> None:
    """Raises EtagMismatch where the record is not as it was read under this etag; empty is not minded."""
    check_etag(record, Edit("", etag, {}))


def check_outcome(state: SetState, outcome: Outcome) -> None:
    """Raises what keeps a change from being made though each part of it could be.

    FlagInvalid where a client could not evaluate a flag or a segment that changes, or one that depends on it;
    FlagInUse, TooManyFlags.
    """
    _check_room(state, outcome)
    if outcome.change is FlagChange.IMPORTED:
        return  # it was looked at whole
    after = state.after(outcome)
    written = after.written()
    found: list[FieldViolation] = []
    for flag in (*outcome.new, *outcome.changed):
        dependents = dependents_of(flag.key, written.flags.values())
        if flag.archived:
            _check_unused(flag, dependents)
            continue
        found += problems_of_flag(flag, written)
        for key in dependents:
            found += problems_of_flag(written.flags[key], written, f"flags.{key}")
    for segment in (*outcome.new_segments, *outcome.changed_segments):
        if not segment.archived:
            found += problems_of_segment(segment, written)
    if found:
        raise FlagInvalid(fields=list(dict.fromkeys(found)))


def _check_unused(flag: Flag, dependents: Sequence[str]) -> None:
    if dependents:
        against = [PreconditionViolation("FLAG", key, "names the flag as a prerequisite") for key in dependents]
        raise FlagInUse(preconditions=against, flag_key=flag.key)


def _check_room(state: SetState, outcome: Outcome) -> None:
    if outcome.new and len(state.flags) + len(outcome.new) > MAX_FLAGS:
        raise TooManyFlags(most=str(MAX_FLAGS), what="flags in a flag set")
    if outcome.new_segments and len(state.segments) + len(outcome.new_segments) > MAX_SEGMENTS:
        raise TooManyFlags(most=str(MAX_SEGMENTS), what="segments in a flag set")
    if state.flag_set is None and state.set_count >= MAX_SETS:
        raise TooManyFlags(most=str(MAX_SETS), what="flag sets")
