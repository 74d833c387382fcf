from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from storage.base import METADATA

_TIME = DateTime(timezone=True)

keys = Table(
    "keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("use", Text, nullable=False),
    Column("material", LargeBinary, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("retire_time", _TIME),
    CheckConstraint("use IN ('sign', 'derive')", name="use"),
    # Several servers may start at once on an empty database: one key of each use wins.
    Index("uq_keys_active", "use", unique=True, postgresql_where=text("retire_time IS NULL")),
    schema="identity",
)

api_keys = Table(
    "api_keys",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("identity.accounts.id"), nullable=False),
    Column("prefix", Text, nullable=False),
    # SHA-256; a key holds 160 random bits, so that no slow hash is needed.
    Column("hash", LargeBinary, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("expire_time", _TIME),
    Column("last_use_time", _TIME),
    Column("end_time", _TIME),
    UniqueConstraint("hash"),
    Index(None, "account_id"),
    schema="identity",
)
