"""The log of events, which others are told from, and the queue of jobs."""

from importlib.resources import files

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NEWEST_STEP = "03.04.00_50_post_add_retry_failed_job_procedure.sql"
"""procrastinate brings its own schema as a series of steps; a later revision applies the steps that come after."""


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
    steps = files("procrastinate") / "sql" / "migrations"
    cursor = op.get_bind().connection.cursor()
    for step in sorted(step.name for step in steps.iterdir() if step.name.endswith(".sql")):
        if step <= NEWEST_STEP:
            cursor.execute((steps / step).read_text())
    cursor.close()


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
