"""What flags has of a person: who changed, proposed or scheduled what, and the comments on it.

Which flag somebody gets is decided in memory, and what it was decided by is stored nowhere.
"""

from storage.flags.tables import flag_versions, proposals, schedules, segment_versions
from storage.personal_data import JsonOwner, OwnedRows, PersonalDataRules

_COMMENT = {"comment": ""}

PERSONAL_DATA = PersonalDataRules(
    rows=(
        OwnedRows(
            kind="flag_change",
            table=flag_versions,
            owned=lambda person: flag_versions.c.changed_by == person.id,
            exported=("flag_id", "version", "change", "comment"),
            erased=_COMMENT,
        ),
        OwnedRows(
            kind="segment_change",
            table=segment_versions,
            owned=lambda person: segment_versions.c.changed_by == person.id,
            exported=("segment_id", "version", "comment", "create_time"),
            erased=_COMMENT,
        ),
        OwnedRows(
            kind="proposal",
            table=proposals,
            owned=lambda person: proposals.c.proposed_by == person.id,
            exported=("id", "flag_set_id", "call", "subject", "state", "comment", "create_time"),
            erased=_COMMENT,
        ),
        OwnedRows(
            kind="decision",
            table=proposals,
            owned=lambda person: proposals.c.decided_by == person.id,
            exported=("id", "state", "decision_comment", "decide_time"),
            erased={"decision_comment": ""},
        ),
        OwnedRows(
            kind="schedule",
            table=schedules,
            owned=lambda person: schedules.c.created_by == person.id,
            exported=("id", "flag_set_id", "flag_key", "state", "comment", "create_time"),
            erased=_COMMENT,
        ),
    ),
    owners=(
        JsonOwner("targeting_key", frozenset({"targeting_key"})),
        JsonOwner("changed_by", frozenset({"comment"})),
        JsonOwner("proposed_by", frozenset({"comment"})),
        JsonOwner("decided_by", frozenset({"decision_comment"})),
        JsonOwner("created_by", frozenset({"comment"})),
    ),
)
