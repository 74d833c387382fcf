from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from storage.base import APPEND_ONLY, METADATA, TransactionId

request_ids = Table(
    "request_ids",
    METADATA,
    Column("caller_id", Uuid, nullable=False),
    Column("request_id", Uuid, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    # Its kind, version and JSON, as `server.frame.answers` writes them; absent only while its transaction runs.
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
    # JSON, as others get it.
    Column("data", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("transaction_id", TransactionId, server_default=text("pg_current_xact_id()"), nullable=False),
    Index("ix_events_since", "transaction_id"),
    Index(None, "create_time"),
    schema="frame",
)

inbox = Table(
    "inbox",
    METADATA,
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("receive_time", DateTime(timezone=True), nullable=False),
    # NULL until its one effect has taken place, in the same transaction.
    Column("process_time", DateTime(timezone=True)),
    PrimaryKeyConstraint("source", "event_id"),
    Index("ix_inbox_receive_time", "receive_time"),
    schema="frame",
)

account_deletions = Table(
    "account_deletions",
    METADATA,
    Column("account_id", Uuid, primary_key=True),
    Column("requested_by", Uuid, nullable=False),
    # Who gets what can be handed over.
    Column("transfer_to", Uuid),
    # The parts that are erased, in the order in which they were.
    Column("erased_parts", ARRAY(Text), nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    # NULL until all parts are erased.
    Column("complete_time", DateTime(timezone=True)),
    schema="frame",
)

environment = Table(
    "environment",
    METADATA,
    # One row: whose database this is, so that a copy is not taken for the original.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("issuer", Text, nullable=False),
    Column("adopt_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("id = 1", name="one_row"),
    schema="frame",
    info=APPEND_ONLY,
)

audit_entries = Table(
    "audit_entries",
    METADATA,
    # In one resource's history a later entry has a higher number; across resources a higher one may commit first.
    Column("sequence", BigInteger, Identity(always=True), primary_key=True),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("caller_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("result", Text, nullable=False),
    # Signed along, so that no entry can be written a second time.
    Column("id", Uuid, nullable=False),
    # Which key signed the entry, and its HMAC-SHA256 over the entry: a row that somebody else wrote has none that
    # matches.
    Column("key_id", Text, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("transaction_id", TransactionId, server_default=text("pg_current_xact_id()"), nullable=False),
    UniqueConstraint("id"),
    Index("ix_audit_entries_since", "transaction_id", "sequence"),
    Index("ix_audit_entries_list", "create_time", "sequence"),
    Index("ix_audit_entries_caller", "caller_id", "create_time", "sequence"),
    Index("ix_audit_entries_action", "action", "create_time", "sequence"),
    Index("ix_audit_entries_resource", "resource", "create_time", "sequence"),
    # Nearly all are "OK", and are found by the others.
    Index("ix_audit_entries_refused", "result", "create_time", "sequence", postgresql_where=text("result <> 'OK'")),
    schema="frame",
    info=APPEND_ONLY,
)

audit_seals = Table(
    "audit_seals",
    METADATA,
    # The places of the chain, from 1 on, without a gap.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    # HMAC-SHA256 over the hash before, this row and the entry.
    Column("hash", LargeBinary, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    UniqueConstraint("sequence"),
    schema="frame",
    info=APPEND_ONLY,
)

audit_anchors = Table(
    "audit_anchors",
    METADATA,
    # Where the chain ended when it was anchored outside.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    schema="frame",
    info=APPEND_ONLY,
)
