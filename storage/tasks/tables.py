from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from storage.base import METADATA

_TIME = DateTime(timezone=True)


def folded(expression: str) -> str:
    """SQL of a text without its accents, as it is searched; PostgreSQL's own extension for that need not be there."""
    plain = rf"regexp_replace(normalize({expression}, NFKD), '[\u0300-\u036f]+', '', 'g')"
    return f"translate(replace({plain}, 'ß', 'ss'), 'øØłŁđĐ', 'oOlLdD')"


OF_NOTES = "kind LIKE 'task.comment%' OR kind LIKE 'task.time%'"
"""SQL of whether an entry of the activity is of a comment or of time."""
_PROJECT = "tasks.projects.id"
_TASK = "tasks.tasks.id"

projects = Table(
    "projects",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("custom_fields", JSONB, nullable=False),
    Column("archived", Boolean, nullable=False),
    # Of the last of its tasks: no number is given twice.
    Column("last_number", Integer, nullable=False),
    # How often the ranks of its tasks were renewed: page tokens of an earlier epoch are of another order.
    Column("rank_epoch", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    UniqueConstraint("key"),
    CheckConstraint("key ~ '^[A-Z][A-Z0-9]{1,9}$'", name="key"),
    schema="tasks",
)

members = Table(
    "members",
    METADATA,
    Column("project_id", Uuid, ForeignKey(_PROJECT), nullable=False),
    Column("account_id", Uuid, nullable=False),
    # From 1, a viewer, to 4, an owner.
    Column("role", SmallInteger, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    PrimaryKeyConstraint("project_id", "account_id"),
    CheckConstraint("role BETWEEN 1 AND 4", name="role"),
    Index("ix_members_by_account", "account_id", "project_id"),
    schema="tasks",
)

numbers = Table(
    "numbers",
    METADATA,
    # Every number that a project ever gave, and to which task, wherever that is by now.
    Column("project_id", Uuid, ForeignKey(_PROJECT), nullable=False),
    Column("number", Integer, nullable=False),
    # Not a foreign key, since the task's own key leads here.
    Column("task_id", Uuid, nullable=False),
    PrimaryKeyConstraint("project_id", "number"),
    UniqueConstraint("project_id", "number", "task_id", name="uq_numbers_of_task"),
    Index("ix_numbers_task", "task_id"),
    schema="tasks",
)

tasks = Table(
    "tasks",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("project_id", Uuid, ForeignKey(_PROJECT), nullable=False),
    Column("number", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("assignee_id", Uuid),
    # The last moment of the year 9998 stands for none: so those without one come last, by one index.
    Column("due_time", _TIME, nullable=False),
    Column("labels", ARRAY(Text), nullable=False),
    Column("parent_id", Uuid),
    Column("custom_values", JSONB, nullable=False),
    # The order by hand, by bytes.
    Column("rank", Text(collation="C"), nullable=False),
    Column("recurring_task_id", Uuid),
    Column("occurrence_time", _TIME),
    Column("creator_id", Uuid),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    # With the project as a word that no text has: a search reads what matches in the caller's projects alone.
    Column(
        "search",
        TSVECTOR,
        Computed(
            f"setweight(to_tsvector('simple'::regconfig, {folded('title')}), 'A')"
            f" || setweight(to_tsvector('simple'::regconfig, {folded('description')}), 'B')"
            " || array_to_tsvector(ARRAY['project ' || project_id::text])",
            persisted=True,
        ),
        nullable=False,
    ),
    # What belongs together is in one project, whoever writes it.
    UniqueConstraint("project_id", "id"),
    ForeignKeyConstraint(
        ["project_id", "number", "id"],
        ["tasks.numbers.project_id", "tasks.numbers.number", "tasks.numbers.task_id"],
        name="fk_tasks_number",
    ),
    ForeignKeyConstraint(
        ["project_id", "parent_id"], ["tasks.tasks.project_id", "tasks.tasks.id"], name="fk_tasks_parent"
    ),
    ForeignKeyConstraint(
        ["project_id", "assignee_id"],
        ["tasks.members.project_id", "tasks.members.account_id"],
        name="fk_tasks_assignee",
    ),
    UniqueConstraint("project_id", "number", name="uq_tasks_number"),
    # Checked at the end of each statement, so that one may renew many.
    UniqueConstraint("project_id", "rank", name="uq_tasks_rank", deferrable=True, initially="IMMEDIATE"),
    UniqueConstraint("recurring_task_id", "occurrence_time", name="uq_tasks_occurrence"),
    CheckConstraint("state IN ('open', 'in_progress', 'in_review', 'done', 'canceled')", name="state"),
    CheckConstraint("priority BETWEEN 1 AND 4", name="priority"),
    CheckConstraint("parent_id <> id", name="parent"),
    CheckConstraint("number > 0", name="number"),
    CheckConstraint("rank <> '' AND length(rank) <= 64", name="rank"),
    CheckConstraint("(recurring_task_id IS NULL) = (occurrence_time IS NULL)", name="occurrence"),
    # One for each order of a list, and one for each filter that few tasks may match.
    Index("ix_tasks_by_create_time", "project_id", "create_time", "id"),
    Index("ix_tasks_by_update_time", "project_id", "update_time", "id"),
    Index("ix_tasks_by_due_time", "project_id", "due_time", "id"),
    Index("ix_tasks_by_priority", "project_id", "priority", "id"),
    Index("ix_tasks_by_state", "project_id", "state", "rank"),
    Index("ix_tasks_by_state_in_time", "project_id", "state", "create_time", "id"),
    Index(
        "ix_tasks_by_assignee",
        "project_id",
        "assignee_id",
        "create_time",
        "id",
        postgresql_where=text("assignee_id IS NOT NULL"),
    ),
    Index("ix_tasks_by_parent", "project_id", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
    Index("ix_tasks_labels", "labels", postgresql_using="gin"),
    Index("ix_tasks_search", "search", postgresql_using="gin"),
    schema="tasks",
)

blockers = Table(
    "blockers",
    METADATA,
    # The first is to be done before the second.
    Column("project_id", Uuid, nullable=False),
    Column("blocker_id", Uuid, nullable=False),
    Column("blocked_id", Uuid, nullable=False),
    PrimaryKeyConstraint("blocked_id", "blocker_id"),
    ForeignKeyConstraint(
        ["project_id", "blocker_id"], ["tasks.tasks.project_id", "tasks.tasks.id"], name="fk_blockers_blocker"
    ),
    ForeignKeyConstraint(
        ["project_id", "blocked_id"], ["tasks.tasks.project_id", "tasks.tasks.id"], name="fk_blockers_blocked"
    ),
    CheckConstraint("blocker_id <> blocked_id", name="two"),
    Index("ix_blockers_blocker", "blocker_id"),
    schema="tasks",
)

comments = Table(
    "comments",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("task_id", Uuid, ForeignKey(_TASK), nullable=False),
    Column("author_id", Uuid, nullable=False),
    Column("text", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    CheckConstraint("text <> ''", name="text"),
    Index("ix_comments_by_task", "task_id", "create_time", "id"),
    Index("ix_comments_by_author", "author_id"),
    schema="tasks",
)

time_entries = Table(
    "time_entries",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("task_id", Uuid, ForeignKey(_TASK), nullable=False),
    Column("author_id", Uuid, nullable=False),
    Column("start_time", _TIME, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("note", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    CheckConstraint("minutes > 0", name="minutes"),
    Index("ix_time_entries_by_task", "task_id", "create_time", "id"),
    Index("ix_time_entries_by_author", "author_id"),
    schema="tasks",
)

saved_filters = Table(
    "saved_filters",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("filter", JSONB, nullable=False),
    Column("order", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    Index("ix_saved_filters_by_account", "account_id", "create_time", "id"),
    schema="tasks",
)

recurring_tasks = Table(
    "recurring_tasks",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("project_id", Uuid, ForeignKey(_PROJECT), nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("assignee_id", Uuid),
    Column("labels", ARRAY(Text), nullable=False),
    Column("rule", Text, nullable=False),
    Column("local_start", DateTime(timezone=False), nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("due_after_minutes", Integer, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("next_time", _TIME),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    CheckConstraint("NOT paused OR next_time IS NULL", name="paused"),
    Index("ix_recurring_tasks_by_project", "project_id", "create_time", "id"),
    Index("ix_recurring_tasks_due", "next_time", postgresql_where=text("next_time IS NOT NULL")),
    schema="tasks",
)

activities = Table(
    "activities",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("project_id", Uuid, ForeignKey(_PROJECT), nullable=False),
    Column("task_id", Uuid, ForeignKey(_TASK)),
    Column("kind", Text, nullable=False),
    Column("actor_id", Uuid),
    # Of the task after it, where the task itself was changed.
    Column("version", Integer),
    Column("changes", JSONB, nullable=False),
    Column("create_time", _TIME, nullable=False),
    # Each change of a task has one entry, and no more.
    UniqueConstraint("task_id", "version", name="uq_activities_version"),
    Index("ix_activities_by_project", "project_id", "create_time", "id"),
    Index("ix_activities_by_task", "task_id", "create_time", "id"),
    # What a person wrote, as the activity shows it.
    Index("ix_activities_of_notes", "actor_id", postgresql_where=text(OF_NOTES)),
    schema="tasks",
)
