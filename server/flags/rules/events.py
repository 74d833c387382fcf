"""The events of flags: their types, and what each contains."""

from collections.abc import Mapping
from uuid import UUID

import orjson

from server.frame.events import EventType
from storage.flags.records import FlagVersion, Proposal, Schedule, Segment
from storage.frame.records import Event

_READ = ("flags.read",)
EXPOSED = "_flag.exposed"
"""A person was served a variant of a flag, for the first time on a day: for the module that counts events alone."""

EVENT_TYPES: Mapping[str, EventType] = {
    "flag.changed": EventType("A flag was created, changed, archived, switched off or brought back.", _READ),
    "flag_segment.changed": EventType("A segment was created, changed or deleted.", _READ),
    "flag_proposal.created": EventType("A change of flags waits for a second pair of eyes.", _READ),
    "flag_proposal.decided": EventType("A proposed change of flags was approved, rejected, or has lapsed.", _READ),
    "flag_schedule.failed": EventType("A step of a schedule could not be taken; it waits for somebody.", _READ),
}


def flag_event(version: FlagVersion) -> Event:
    """Which flag changed, how and by whom; not what it holds, which GetFlag returns to those who may read it."""
    flag = version.flag
    data = {
        "flag_set_id": flag.flag_set_id,
        "key": flag.key,
        "change": version.change,
        "state": flag.state,
        "archived": flag.archived,
        "version": flag.version,
        "comment": version.comment,
        "changed_by": version.changed_by,
        "update_time": flag.update_time,
    }
    return Event("flag.changed", flag.id, _json(data), flag.update_time)


def segment_event(segment: Segment, changed_by: UUID) -> Event:
    data = {
        "flag_set_id": segment.flag_set_id,
        "name": segment.name,
        "deleted": segment.archived,
        "version": segment.version,
        "changed_by": changed_by,
        "update_time": segment.update_time,
    }
    return Event("flag_segment.changed", segment.id, _json(data), segment.update_time)


def proposal_event(proposal: Proposal) -> Event:
    """`flag_proposal.created` for one that waits, else `flag_proposal.decided`."""
    happened = "created" if proposal.decide_time is None else "decided"
    data = {
        "proposal_id": proposal.id,
        "flag_set_id": proposal.flag_set_id,
        "call": proposal.call,
        "state": proposal.state,
        "comment": proposal.comment,
        "proposed_by": proposal.proposed_by,
        "decided_by": proposal.decided_by,
        "create_time": proposal.create_time,
        "decide_time": proposal.decide_time,
    }
    return Event(f"flag_proposal.{happened}", proposal.id, _json(data), proposal.decide_time or proposal.create_time)


def schedule_failed(schedule: Schedule) -> Event:
    data = {
        "schedule_id": schedule.id,
        "flag_set_id": schedule.flag_set_id,
        "flag_key": schedule.flag_key,
        "error": schedule.error,
        "taken_count": len(schedule.take_times),
        "created_by": schedule.created_by,
        "update_time": schedule.update_time,
    }
    return Event("flag_schedule.failed", schedule.id, _json(data), schedule.update_time)


def _json(data: Mapping[str, object]) -> str:
    return orjson.dumps(data).decode()
