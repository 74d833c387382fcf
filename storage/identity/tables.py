from sqlalchemy import (
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

accounts = Table(
    "accounts",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("email", Text),
    Column("name", Text, nullable=False),
    Column("password_hash", Text),
    Column("key_hash", LargeBinary),
    Column("create_time", _TIME, nullable=False),
    UniqueConstraint("email"),
    UniqueConstraint("key_hash"),
    CheckConstraint(
        "(kind = 'person' AND email IS NOT NULL AND password_hash IS NOT NULL AND key_hash IS NULL)"
        " OR (kind = 'service' AND email IS NULL AND password_hash IS NULL AND key_hash IS NOT NULL)",
        name="kind",
    ),
    # A service account is known by its name; persons may share one.
    Index("uq_accounts_service_name", "name", unique=True, postgresql_where=text("kind = 'service'")),
    Index("ix_accounts_list", "kind", "create_time", "id"),
    schema="identity",
)

role_grants = Table(
    "role_grants",
    METADATA,
    Column("account_id", Uuid, ForeignKey("identity.accounts.id"), nullable=False),
    Column("role", Text, nullable=False),
    Column("create_time", _TIME, nullable=False),
    PrimaryKeyConstraint("account_id", "role"),
    Index(None, "role"),
    schema="identity",
)

sessions = Table(
    "sessions",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("identity.accounts.id"), nullable=False),
    # How often the session was refreshed: only the refresh token of this generation counts.
    Column("generation", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("refresh_time", _TIME, nullable=False),
    Column("expire_time", _TIME, nullable=False),
    Column("end_time", _TIME),
    Index(None, "account_id"),
    schema="identity",
)

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
