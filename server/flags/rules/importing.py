"""What an import of flagd's JSON does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.flags.rules import drafts
from server.flags.rules.documents import Document
from server.flags.rules.validating import Written
from server.frame.editing import changed
from storage.flags.records import Flag, Segment


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import will do, and the flag set as it will be."""

    new: Sequence[Flag]
    changed: Sequence[Flag]
    archived: Sequence[Flag]
    unchanged: int
    new_segments: Sequence[Segment]
    changed_segments: Sequence[Segment]
    written: Written


def planned(
    document: Document,
    flag_set_id: str,
    flags: Mapping[str, Flag],
    segments: Mapping[str, Segment],
    *,
    replace: bool,
    new_id: Callable[[], UUID],
    now: datetime,
) -> ImportPlan:
    """What becomes of a flag set, whose flags and segments are given whole, archived ones among them.

    With `replace`, what the document does not name is archived. Flags without details keep those that they have.
    """
    after = {key: _flag(draft, flags.get(key), flag_set_id, key, new_id, now) for key, draft in document.flags.items()}
    gone = [each for key, each in flags.items() if replace and key not in after and not each.archived]
    archived = [drafts.archived(each, now) for each in gone]
    rules = {
        name: _segment(rule, segments.get(name), flag_set_id, name, new_id, now)
        for name, rule in document.segments.items()
    }
    ended = [
        changed(each, {"archived": True}, now)
        for name, each in segments.items()
        if replace and name not in rules and not each.archived
    ]
    whole = {**flags, **after, **{each.key: each for each in archived}}
    every = {**segments, **rules, **{each.name: each for each in ended}}
    differing = [each for key, each in after.items() if key in flags and each is not flags[key]]
    return ImportPlan(
        new=[each for key, each in after.items() if key not in flags],
        changed=differing,
        archived=archived,
        unchanged=sum(each is flags.get(key) for key, each in after.items()),
        new_segments=[each for name, each in rules.items() if name not in segments],
        changed_segments=[*(each for name, each in rules.items() if each is not segments.get(name, each)), *ended],
        written=Written(
            {key: each for key, each in whole.items() if not each.archived},
            {name: each.rule for name, each in every.items() if not each.archived},
        ),
    )


def _flag(
    draft: drafts.FlagDraft, flag: Flag | None, set_id: str, key: str, new_id: Callable[[], UUID], now: datetime
) -> Flag:
    if flag is None:
        return draft.as_flag(new_id(), set_id, key, now)
    kept = {name: getattr(flag, name) for name in _DETAILS if not getattr(draft, name)}
    return changed(flag, {**draft.values(), **kept, "archived": False}, now)


_DETAILS = ("prerequisites", "description", "owner", "ticket", "expire_time")
"""What flagd's JSON need not say."""


def _segment(
    rule: object, segment: Segment | None, set_id: str, name: str, new_id: Callable[[], UUID], now: datetime
) -> Segment:
    if segment is None:
        return drafts.segment(new_id(), set_id, name, rule, "", now)
    return changed(segment, {"rule": rule, "archived": False}, now)
