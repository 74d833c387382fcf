"""Events in partitions by day, their keys, the batches that stored them, what was refused, and the declared types."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from storage.base import TransactionId

revision = "0022"
down_revision = "0021"

TIME = sa.DateTime(timezone=True)

# By the owner's rights, since the role that serves cannot create tables. A partition is made by itself and attached
# then, which keeps nobody from reading and writing the others.
CREATE_PARTITION = """
CREATE FUNCTION events.create_partition(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    partition text := 'events_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF day < DATE '1970-01-01' OR day > current_date + 400 THEN
        RAISE EXCEPTION 'no partition for %: it is too far away', day;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('events.create_partition', 0));
    IF to_regclass('events.' || partition) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE events.%I (LIKE events.events INCLUDING ALL)', partition);
    EXECUTE format(
        'ALTER TABLE events.events ATTACH PARTITION events.%I FOR VALUES FROM (%L) TO (%L)',
        partition, day::timestamptz, (day + 1)::timestamptz
    );
    RETURN true;
END $$
"""
DROP_PARTITION = """
CREATE FUNCTION events.drop_partition(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    partition text := 'events_' || to_char(day, 'YYYYMMDD');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('events.create_partition', 0));
    IF to_regclass('events.' || partition) IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE events.%I', partition);
    RETURN true;
END $$
"""


def upgrade() -> None:
    op.execute("CREATE SCHEMA events")
    _events()
    _keys_and_batches()
    _refused_events()
    _configuration()
    op.execute(CREATE_PARTITION)
    op.execute(DROP_PARTITION)


def downgrade() -> None:
    op.execute("DROP SCHEMA events CASCADE")


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("time", TIME, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("receive_time", TIME, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("data", JSON),
        sa.Column("attributes", JSON),
        schema="events",
        postgresql_partition_by="RANGE (time)",
    )
    _index("ix_events_by_time", "events", "time", "sequence")
    _index("ix_events_by_type", "events", "type", "time")
    _index("ix_events_by_subject", "events", "subject", "time", where=sa.text("subject <> ''"))
    op.create_index("ix_events_by_sequence", "events", ["sequence"], postgresql_using="brin", schema="events")


def _keys_and_batches() -> None:
    op.create_table(
        "keys",
        sa.Column("key", sa.Uuid, nullable=False),
        sa.Column("digest", sa.Uuid, nullable=False),
        sa.Column("batch", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_keys"),
        schema="events",
    )
    op.create_table(
        "batches",
        sa.Column("sequence", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("event_count", sa.Integer, nullable=False),
        sa.Column("first_time", TIME, nullable=False),
        sa.Column("last_time", TIME, nullable=False),
        sa.Column("receive_time", TIME, nullable=False),
        sa.Column("transaction_id", TransactionId, server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_batches"),
        sa.CheckConstraint("event_count BETWEEN 1 AND 65536", name="ck_batches_event_count"),
        schema="events",
    )
    _index("ix_batches_since", "batches", "transaction_id")
    _index("ix_batches_by_receive_time", "batches", "receive_time")
    op.create_table(
        "touched",
        sa.Column("sequence", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("minute", TIME, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_touched"),
        schema="events",
    )
    _index("ix_touched_by_type", "touched", "type", "minute")


def _refused_events() -> None:
    op.create_table(
        "refused_events",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("truncated", sa.Boolean, nullable=False),
        sa.Column("account_id", sa.Uuid),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_refused_events"),
        sa.CheckConstraint("attempts > 0", name="ck_refused_events_attempts"),
        schema="events",
    )
    _index("ix_refused_events_by_time", "refused_events", "create_time", "id")
    _index("ix_refused_events_by_type", "refused_events", "type", "create_time", "id")
    _index("ix_refused_events_by_subject", "refused_events", "subject", where=sa.text("subject <> ''"))
    _index("ix_refused_events_by_update_time", "refused_events", "update_time")


def _configuration() -> None:
    op.create_table(
        "event_types",
        sa.Column("type", sa.Text(collation="C"), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("schema", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("type", name="pk_event_types"),
        sa.CheckConstraint("mode IN ('strict', 'lenient')", name="ck_event_types_mode"),
        schema="events",
    )
    op.create_table(
        "configuration",
        sa.Column("part", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("part", name="pk_configuration"),
        schema="events",
    )


def _index(name: str, table: str, *columns: str, where: sa.TextClause | None = None) -> None:
    op.create_index(name, table, list(columns), postgresql_where=where, schema="events")
