"""The changes that can be made to a flag set, to its segments, and to all of it by an import."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from server.flags.errors import FlagInvalid, SegmentInUse, SegmentNameTaken, SegmentNotFound
from server.flags.rules import documents, drafts
from server.flags.rules.changes import (
    ImportSummary,
    Moment,
    Outcome,
    SetState,
    Shown,
    check_read,
    flag_resource,
    segment_resource,
    set_resource,
    version_of,
)
from server.flags.rules.importing import ImportPlan, planned
from server.flags.rules.validating import problems_of_metadata, problems_of_set, users_of
from server.frame.editing import changed
from server.frame.errors import PreconditionViolation
from storage.flags.records import FlagChange, FlagSet, Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class EditSet:
    flag_set_id: str
    values: Mapping[str, Any]
    """The new values by the fields' names: metadata, description."""
    etag: str = ""
    comment: str = ""
    call: Literal["UpdateFlagSet"] = "UpdateFlagSet"

    def resource(self) -> str:
        return set_resource(self.flag_set_id)

    def bases(self, state: SetState) -> Mapping[str, int]:
        return {self.resource(): version_of(state.flag_set)}

    def standing(self, state: SetState) -> Shown:
        return Shown(flag_set=state.flag_set)

    def decided(self, state: SetState, moment: Moment) -> Outcome:
        """Raises EtagMismatch, and FlagInvalid where no client could read the metadata."""
        before = state.flag_set or FlagSet(self.flag_set_id, {}, "", 0, moment.time, moment.time)
        check_read(before, self.etag)
        after = changed(before, self.values, moment.time)
        if found := list(problems_of_metadata(after.metadata, "flag_set.metadata")):
            raise FlagInvalid(fields=found)
        if after is before and state.flag_set is not None:
            return Outcome(Shown(flag_set=before))
        after = replace(after, version=max(1, after.version))
        return Outcome(Shown(flag_set=after), flag_set=after)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfSegment:
    """A change of one segment."""

    flag_set_id: str
    name: str
    comment: str = ""

    def resource(self) -> str:
        return segment_resource(self.flag_set_id, self.name)

    def bases(self, state: SetState) -> Mapping[str, int]:
        return {self.resource(): version_of(state.segments.get(self.name))}

    def standing(self, state: SetState) -> Shown:
        found = state.segments.get(self.name)
        return Shown(segment=None if found is None or found.archived else found)

    def found(self, state: SetState, etag: str) -> Segment:
        """Raises SegmentNotFound, EtagMismatch."""
        segment = state.segments.get(self.name)
        if segment is None or segment.archived:
            raise SegmentNotFound(name=self.name)
        check_read(segment, etag)
        return segment


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSegment(OfSegment):
    rule: Any
    description: str = ""
    call: Literal["CreateSegment"] = "CreateSegment"

    def decided(self, state: SetState, moment: Moment) -> Outcome:
        """Raises SegmentNameTaken; a name whose segment was deleted is free, and its versions go on."""
        before = state.segments.get(self.name)
        if before is None:
            new = drafts.segment(moment.new_id(), self.flag_set_id, self.name, self.rule, self.description, moment.time)
            return Outcome(Shown(segment=new), new_segments=[new])
        if not before.archived:
            raise SegmentNameTaken(name=self.name)
        values = {"rule": self.rule, "description": self.description, "archived": False}
        again = replace(changed(before, values, moment.time), create_time=moment.time)
        return Outcome(Shown(segment=again), changed_segments=[again])


@dataclass(frozen=True, slots=True, kw_only=True)
class EditSegment(OfSegment):
    values: Mapping[str, Any]
    """The new values by the fields' names: rule, description."""
    etag: str = ""
    call: Literal["UpdateSegment"] = "UpdateSegment"

    def decided(self, state: SetState, moment: Moment) -> Outcome:
        """Raises SegmentNotFound, EtagMismatch."""
        before = self.found(state, self.etag)
        after = changed(before, self.values, moment.time)
        return Outcome(Shown(segment=after), changed_segments=[] if after is before else [after])


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSegment(OfSegment):
    etag: str = ""
    call: Literal["DeleteSegment"] = "DeleteSegment"

    def decided(self, state: SetState, moment: Moment) -> Outcome:
        """Raises SegmentNotFound, EtagMismatch, SegmentInUse."""
        before = self.found(state, self.etag)
        if users := users_of(self.name, state.written()):
            against = [PreconditionViolation("SEGMENT", each, "refers to the segment") for each in users]
            raise SegmentInUse(preconditions=against, name=self.name)
        after = changed(before, {"archived": True}, moment.time)
        return Outcome(Shown(deleted_segment=after), changed_segments=[after])


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFlags:
    flag_set_id: str
    text: str
    """flagd's JSON."""
    replace: bool
    """Whether what it does not name is archived."""
    comment: str = ""
    call: Literal["ImportFlags"] = "ImportFlags"

    def resource(self) -> str:
        return set_resource(self.flag_set_id)

    def bases(self, state: SetState) -> Mapping[str, int]:
        """Of what the JSON names; of the whole set, where that is replaced."""
        document = self._document()
        flags = {*document.flags, *(state.flags if self.replace else ())}
        segments = {*document.segments, *(state.segments if self.replace else ())}
        return {
            set_resource(self.flag_set_id): version_of(state.flag_set),
            **{flag_resource(self.flag_set_id, each): version_of(state.flags.get(each)) for each in sorted(flags)},
            **{
                segment_resource(self.flag_set_id, each): version_of(state.segments.get(each))
                for each in sorted(segments)
            },
        }

    def standing(self, state: SetState) -> Shown:
        return Shown(summary=ImportSummary(0, 0, 0, 0, 0))

    def decided(self, state: SetState, moment: Moment) -> Outcome:
        """Raises FlagInvalid where it is not flagd's JSON, or no client could evaluate a flag of the set."""
        document = self._document()
        plan = planned(
            document,
            self.flag_set_id,
            state.flags,
            state.segments,
            replace=self.replace,
            new_id=moment.new_id,
            now=moment.time,
        )
        metadata = list(problems_of_metadata(document.metadata, "metadata"))
        if found := [*metadata, *problems_of_set(plan.written)]:
            raise FlagInvalid(fields=found)
        return Outcome(
            Shown(summary=_summary(plan)),
            FlagChange.IMPORTED,
            new=plan.new,
            changed=[*plan.changed, *plan.archived],
            new_segments=plan.new_segments,
            changed_segments=plan.changed_segments,
            flag_set=self._flag_set(state.flag_set, document.metadata, moment),
        )

    def _document(self) -> documents.Document:
        try:
            return documents.read(self.text)
        except documents.DocumentInvalid as invalid:
            raise FlagInvalid(fields=invalid.violations) from None

    def _flag_set(self, before: FlagSet | None, metadata: Mapping[str, Any], moment: Moment) -> FlagSet | None:
        """The flag set with the JSON's metadata, where that differs; what says nothing of it changes none but all."""
        if before is None:
            return FlagSet(self.flag_set_id, metadata, "", 1, moment.time, moment.time)
        after = changed(before, {"metadata": metadata} if metadata or self.replace else {}, moment.time)
        return None if after is before else after


def _summary(plan: ImportPlan) -> ImportSummary:
    segments = len(plan.new_segments) + len(plan.changed_segments)
    return ImportSummary(len(plan.new), len(plan.changed), plan.unchanged, len(plan.archived), segments)
