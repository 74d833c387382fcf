"""Flags and segments as a caller describes them, and as they stand after a change."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from server.flags.errors import RolloutUnsuited
from server.flags.rules import rollouts
from server.frame.editing import Edit, changed, check_etag
from storage.flags.records import Flag, FlagState, FlagType, Prerequisite, Segment


@dataclass(frozen=True, slots=True)
class FlagDraft:
    """A flag as a caller describes it."""

    type: FlagType
    state: FlagState
    variants: Mapping[str, Any]
    default_variant: str = ""
    targeting: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    prerequisites: tuple[Prerequisite, ...] = ()
    description: str = ""
    owner: str = ""
    ticket: str = ""
    expire_time: datetime | None = None

    def as_flag(self, flag_id: UUID, flag_set_id: str, key: str, now: datetime) -> Flag:
        values = self.values()
        return Flag(flag_id, flag_set_id, key, **values, archived=False, version=1, create_time=now, update_time=now)

    def values(self) -> dict[str, Any]:
        """By the names of a flag's fields."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**values, "targeting": self.targeting or {}, "metadata": self.metadata or {}}


CHANGEABLE = tuple(each.name for each in fields(FlagDraft))
"""The fields of a flag that a change may name."""


def edited(flag: Flag, edit: Edit[Any], now: datetime) -> Flag:
    """The flag after an edit; raises EtagMismatch where another edit came first."""
    check_etag(flag, edit)
    return changed(flag, edit.values, now)


def redrafted(flag: Flag, draft: FlagDraft, now: datetime) -> Flag:
    """The flag with the draft's content, not archived; unchanged if nothing differs."""
    return changed(flag, {**draft.values(), "archived": False}, now)


def archived(flag: Flag, now: datetime) -> Flag:
    return changed(flag, {"archived": True}, now)


def rolled_back(flag: Flag, then: Flag, now: datetime) -> Flag:
    """The flag as it was then, in a new version."""
    return changed(flag, {**{name: getattr(then, name) for name in CHANGEABLE}, "archived": then.archived}, now)


def switched_off(flag: Flag, now: datetime) -> Flag:
    return changed(flag, {"state": FlagState.DISABLED}, now)


def rolled_out(flag: Flag, shares: Mapping[str, int], seed: str, bucket_by: str, now: datetime) -> Flag:
    """The flag with these shares, in thousandths of a percent; raises RolloutUnsuited."""
    try:
        line = rollouts.seeded(rollouts.line_of(flag.targeting, flag.default_variant), seed, bucket_by)
        line = rollouts.grown(line, shares, flag.default_variant)
    except rollouts.NoRollout as why:
        raise RolloutUnsuited(flag_key=flag.key, why=str(why)) from None
    return changed(flag, {"targeting": rollouts.with_line(flag.targeting, line)}, now)


def segment(segment_id: UUID, flag_set_id: str, name: str, rule: Any, description: str, now: datetime) -> Segment:
    """A new segment."""
    return Segment(segment_id, flag_set_id, name, rule, description, False, 1, now, now)
