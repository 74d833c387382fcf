from sqlalchemy import (
    Boolean,
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
)

from storage.base import METADATA

_TIME = DateTime(timezone=True)

keys = Table(
    "keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("use", Text, nullable=False),
    # Sealed by the master key; in the clear only where an earlier version left it, until a server first reads it.
    Column("material", LargeBinary, nullable=False),
    Column("sealed", Boolean, nullable=False),
    Column("create_time", _TIME, nullable=False),
    # From when on it is the one to sign or derive with, until a later one's time comes.
    Column("activate_time", _TIME, nullable=False),
    Column("revoke_time", _TIME),
    CheckConstraint("use IN ('sign', 'derive')", name="use"),
    schema="identity",
)

api_keys = Table(
    "api_keys",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("identity.accounts.id"), nullable=False),
    Column("prefix", Text, nullable=False),
    # SHA-256; a key has 160 random bits, so that no slow hash is needed.
    Column("hash", LargeBinary, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("expire_time", _TIME),
    Column("last_use_time", _TIME),
    Column("end_time", _TIME),
    UniqueConstraint("hash"),
    Index(None, "account_id"),
    schema="identity",
)
