from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from storage.base import METADATA

_TIME = DateTime(timezone=True)

endpoints = Table(
    "endpoints",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    # None of them means all.
    Column("event_types", ARRAY(Text), nullable=False),
    Column("state", Text, nullable=False),
    Column("disabled_reason", Text, nullable=False),
    Column("failing_since", _TIME),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    Column("created_by", Uuid),
    # Whose permissions decide what it is told.
    Column("granted_by", Uuid),
    CheckConstraint("state IN ('enabled', 'disabled')", name="state"),
    schema="webhooks",
)

endpoint_secrets = Table(
    "endpoint_secrets",
    METADATA,
    Column("endpoint_id", Uuid, ForeignKey("webhooks.endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("generation", Integer, nullable=False),
    # Sealed by the master key; in the clear only where an earlier version left it, until a server starts.
    Column("secret", LargeBinary, nullable=False),
    Column("sealed", Boolean, nullable=False),
    Column("create_time", _TIME, nullable=False),
    # From when on nothing is signed with it; NULL for the newest.
    Column("end_time", _TIME),
    PrimaryKeyConstraint("endpoint_id", "generation"),
    schema="webhooks",
)

deliveries = Table(
    "deliveries",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("endpoint_id", Uuid, ForeignKey("webhooks.endpoints.id", ondelete="CASCADE"), nullable=False),
    # The event in the frame's log; NULL for a test event, which stands in no log.
    Column("event_sequence", BigInteger),
    Column("event_type", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt_count", Integer, nullable=False),
    Column("next_attempt_time", _TIME),
    Column("last_attempt_time", _TIME),
    Column("response_status", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("create_time", _TIME, nullable=False),
    UniqueConstraint("endpoint_id", "event_sequence"),
    CheckConstraint("state IN ('pending', 'succeeded', 'failed')", name="state"),
    CheckConstraint("(state = 'pending') = (next_attempt_time IS NOT NULL)", name="next_attempt_time"),
    Index("ix_deliveries_by_time", "create_time", "id"),
    Index("ix_deliveries_by_endpoint", "endpoint_id", "create_time", "id"),
    Index("ix_deliveries_by_state", "state", "create_time", "id"),
    # What is to be attempted next, of each endpoint.
    Index(
        "ix_deliveries_due",
        "endpoint_id",
        "next_attempt_time",
        "id",
        postgresql_where=text("state = 'pending'"),
    ),
    schema="webhooks",
)

relay = Table(
    "relay",
    METADATA,
    # One row: up to which snapshot the log of events has become deliveries.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("snapshot", Text, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    schema="webhooks",
)
