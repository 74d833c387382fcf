"""What tasks has of a person: comments, notes of time, and saved filters.

Projects and tasks are the team's, whoever created them; memberships keep the id.
"""

from sqlalchemy import text

from storage.personal_data import JsonOwner, OwnedRows, PersonalDataRules
from storage.tasks.tables import OF_NOTES, activities, comments, members, saved_filters, time_entries

ERASED = "(erased)"
"""In the place of a comment, which has a text."""

PERSONAL_DATA = PersonalDataRules(
    rows=(
        OwnedRows(
            kind="comment",
            table=comments,
            owned=lambda person: comments.c.author_id == person.id,
            exported=("id", "task_id", "text", "create_time", "update_time"),
            erased={"text": ERASED},
        ),
        OwnedRows(
            kind="time_entry",
            table=time_entries,
            owned=lambda person: time_entries.c.author_id == person.id,
            exported=("id", "task_id", "start_time", "minutes", "note", "create_time", "update_time"),
            erased={"note": ""},
        ),
        OwnedRows(
            kind="activity",
            table=activities,
            owned=lambda person: (activities.c.actor_id == person.id) & text(f"({OF_NOTES})"),
            exported=("id", "project_id", "task_id", "kind", "changes", "create_time"),
            erased={"changes": []},
        ),
        OwnedRows(
            kind="saved_filter",
            table=saved_filters,
            owned=lambda person: saved_filters.c.account_id == person.id,
            exported=("id", "name", "filter", "order", "create_time", "update_time"),
            deleted=True,
        ),
        OwnedRows(
            kind="membership",
            table=members,
            owned=lambda person: members.c.account_id == person.id,
            exported=("project_id", "role", "create_time"),
        ),
    ),
    owners=(JsonOwner("author_id", frozenset({"text", "note"})),),
)
