"""Flag sets and segments."""

from typing import Any

from backroom.flags.v1 import flag_set_service_pb2 as pb
from backroom.flags.v1 import flag_sets_pb2
from server.flags.messages.values import plain, plain_object, wire, wire_object
from server.flags.rules import set_changes
from server.frame.editing import Edit, as_sent, edit_of, etag_of
from server.frame.wire import require, timestamp
from storage.flags.records import FlagSet, Segment

_OF_SET = {"metadata": lambda flag_set: plain_object(flag_set.metadata), **as_sent("description")}
_OF_SEGMENT = {"rule": lambda segment: _rule(segment), **as_sent("description")}
"""The fields that an update_mask may name."""


def set_edit(request: pb.UpdateFlagSetRequest) -> set_changes.EditSet:
    """Raises FieldInvalid where the mask names a field that cannot be changed."""
    found: Edit[str] = edit_of(request.flag_set, request.update_mask, ("flag_set_id", str), _OF_SET, key_required=False)
    return set_changes.EditSet(flag_set_id=found.key, values=found.values, etag=found.etag, comment=request.comment)


def segment_creation(request: pb.CreateSegmentRequest) -> set_changes.CreateSegment:
    """Raises FieldInvalid where the name is missing."""
    given = request.segment
    require(given, "name")
    return set_changes.CreateSegment(
        flag_set_id=given.flag_set_id,
        name=given.name,
        rule=_rule(given),
        description=given.description,
        comment=request.comment,
    )


def segment_edit(request: pb.UpdateSegmentRequest) -> set_changes.EditSegment:
    """Raises FieldInvalid where the name is missing, or the mask names a field that cannot be changed."""
    found: Edit[str] = edit_of(request.segment, request.update_mask, ("name", str), _OF_SEGMENT)
    return set_changes.EditSegment(
        flag_set_id=request.segment.flag_set_id,
        name=found.key,
        values=found.values,
        etag=found.etag,
        comment=request.comment,
    )


def flag_set(kept: FlagSet) -> flag_sets_pb2.FlagSet:
    return flag_sets_pb2.FlagSet(
        flag_set_id=kept.id,
        metadata=wire_object(kept.metadata) if kept.metadata else None,
        description=kept.description,
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def optional_set(kept: FlagSet | None) -> flag_sets_pb2.FlagSet | None:
    return None if kept is None else flag_set(kept)


def segment(kept: Segment) -> flag_sets_pb2.Segment:
    return flag_sets_pb2.Segment(
        flag_set_id=kept.flag_set_id,
        name=kept.name,
        rule=wire(kept.rule),
        description=kept.description,
        version=kept.version,
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )


def optional_segment(kept: Segment | None) -> flag_sets_pb2.Segment | None:
    return None if kept is None else segment(kept)


def _rule(segment: flag_sets_pb2.Segment) -> Any:
    return plain(segment.rule) if segment.HasField("rule") else None
