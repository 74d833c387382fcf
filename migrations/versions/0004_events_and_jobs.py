"""The log of events, and the queue of jobs."""

import re
from collections.abc import Iterable, Iterator
from importlib.resources import files

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NEWEST_STEP = "03.04.00_50_post_add_retry_failed_job_procedure.sql"
"""procrastinate brings its own schema as a series of steps; a later revision applies the steps that come after."""

_CREATE_ENUM = re.compile(r"CREATE TYPE (\w+) AS ENUM \((.*?)\);", re.DOTALL)
_ADD_LABEL = re.compile(r"ALTER TYPE (\w+) ADD VALUE '(\w+)'(?: (BEFORE|AFTER) '(\w+)')?;")
_COMMENT = re.compile(r"--[^\n]*")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("sequence", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Uuid, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_events"),
        schema="frame",
    )
    op.execute("ALTER TABLE frame.events ADD COLUMN transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id()")
    op.create_index("ix_events_since", "events", ["transaction_id"], schema="frame")
    op.create_index("ix_events_create_time", "events", ["create_time"], schema="frame")
    cursor = op.get_bind().connection.cursor()
    for step in _in_one_transaction(_steps()):
        cursor.execute(step)
    cursor.close()


def _steps() -> list[str]:
    folder = files("procrastinate") / "sql" / "migrations"
    names = sorted(step.name for step in folder.iterdir() if step.name.endswith(".sql"))
    return [(folder / name).read_text() for name in names if name <= NEWEST_STEP]


def _in_one_transaction(steps: Iterable[str]) -> Iterator[str]:
    """The same steps, with each enum created with all the labels that they add to it one by one.

    Before PostgreSQL 17 a transaction cannot use a label that it has added to a type, even to one of its own.
    """
    steps = list(steps)
    added = [label for step in steps for label in _ADD_LABEL.findall(step)]
    for step in steps:
        yield _CREATE_ENUM.sub(lambda found: _create_enum(found[1], found[2], added), _ADD_LABEL.sub("", step))


def _create_enum(name: str, body: str, added: Iterable[tuple[str, str, str, str]]) -> str:
    labels = re.findall(r"'(\w+)'", _COMMENT.sub("", body))
    for enum, label, where, neighbor in added:
        if enum == name:
            place = labels.index(neighbor) + (where == "AFTER") if neighbor else len(labels)
            labels.insert(place, label)
    return f"CREATE TYPE {name} AS ENUM ({', '.join(map(repr, labels))});"


def downgrade() -> None:
    op.drop_table("events", schema="frame")
    op.execute("""
        DO $$
        DECLARE found record;
        BEGIN
            FOR found IN SELECT oid::regclass AS name FROM pg_class
                WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname LIKE 'procrastinate\\_%'
            LOOP EXECUTE format('DROP TABLE %s CASCADE', found.name); END LOOP;
            FOR found IN SELECT oid::regprocedure AS name FROM pg_proc
                WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'procrastinate\\_%'
            LOOP EXECUTE format('DROP FUNCTION %s CASCADE', found.name); END LOOP;
            FOR found IN SELECT oid::regtype AS name FROM pg_type
                WHERE typnamespace = 'public'::regnamespace AND typname LIKE 'procrastinate\\_%'
            LOOP EXECUTE format('DROP TYPE %s CASCADE', found.name); END LOOP;
        END $$
    """)
