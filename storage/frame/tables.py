from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)

from storage.base import METADATA, TransactionId

request_ids = Table(
    "request_ids",
    METADATA,
    Column("caller_id", Uuid, nullable=False),
    Column("request_id", Uuid, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    # JSON, as `server.frame.repeating` writes it; absent only while its transaction runs.
    Column("answer", Text),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("caller_id", "request_id"),
    Index(None, "create_time"),
    schema="frame",
)

events = Table(
    "events",
    METADATA,
    # In one subject's history a later event has a higher number; across subjects a higher one may commit first.
    Column("sequence", BigInteger, Identity(always=True), primary_key=True),
    Column("type", Text, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    # JSON, as others are told of it.
    Column("data", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("transaction_id", TransactionId, server_default=text("pg_current_xact_id()"), nullable=False),
    Index("ix_events_since", "transaction_id"),
    Index(None, "create_time"),
    schema="frame",
)
