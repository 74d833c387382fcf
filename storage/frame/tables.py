from sqlalchemy import Column, DateTime, Index, LargeBinary, PrimaryKeyConstraint, Table, Text, Uuid, func

from storage.base import METADATA

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
