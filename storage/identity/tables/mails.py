from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)

from storage.base import METADATA

_TIME = DateTime(timezone=True)

mails = Table(
    "mails",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    # Sealed: it contains the address, and a token that authenticates its owner.
    Column("content", LargeBinary, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("attempt_count", Integer, nullable=False),
    # Until then, whoever took it last is sending it.
    Column("next_attempt_time", _TIME, nullable=False),
    Index(None, "create_time"),
    schema="identity",
)

mail_tokens = Table(
    "mail_tokens",
    METADATA,
    # SHA-256; a token has 160 random bits, so that no slow hash is needed.
    Column("hash", LargeBinary, primary_key=True),
    Column("account_id", Uuid, ForeignKey("identity.accounts.id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("expire_time", _TIME, nullable=False),
    Column("use_time", _TIME),
    # Where it was used from.
    Column("address", Text, nullable=False),
    CheckConstraint("purpose IN ('verify', 'reset')", name="purpose"),
    Index("uq_mail_tokens_live", "account_id", "purpose", unique=True, postgresql_where=text("use_time IS NULL")),
    Index("ix_mail_tokens_account_id", "account_id", "use_time"),
    Index(None, "expire_time"),
    schema="identity",
)
