from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)

from storage.base import METADATA, TransactionId

_TIME = DateTime(timezone=True)

accounts = Table(
    "accounts",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("email", Text),
    Column("name", Text, nullable=False),
    Column("password_hash", Text),
    Column("create_time", _TIME, nullable=False),
    Column("verify_time", _TIME),
    Column("disable_time", _TIME),
    # When the password was last changed; absent where it is the first one.
    Column("password_time", _TIME),
    # In lower case; whose it is, and was, is in `handles`.
    Column("handle", Text),
    CheckConstraint(
        "(kind = 'person' AND email IS NOT NULL AND password_hash IS NOT NULL)"
        " OR (kind = 'service' AND email IS NULL AND password_hash IS NULL)",
        name="kind",
    ),
    # A service account is known by its name; persons may share one.
    Index("uq_accounts_service_name", "name", unique=True, postgresql_where=text("kind = 'service'")),
    # Whoever verified an address has it; until then, any number may have registered with it.
    Index("uq_accounts_email", "email", unique=True, postgresql_where=text("verify_time IS NOT NULL")),
    Index("uq_accounts_handle", "handle", unique=True),
    Index("ix_accounts_unverified", "email", postgresql_where=text("kind = 'person' AND verify_time IS NULL")),
    Index("ix_accounts_list", "kind", "create_time", "id"),
    schema="identity",
)

handles = Table(
    "handles",
    METADATA,
    # A keyed hash, which stays for ever: what a deleted account was called is not known, and nobody else can take it.
    Column("hash", LargeBinary, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Index(None, "account_id"),
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

roles = Table(
    "roles",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("description", Text, nullable=False),
    Column("permissions", ARRAY(Text), nullable=False),
    # Counts the changes, so that an update against an older one is refused.
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    schema="identity",
)

access_changes = Table(
    "access_changes",
    METADATA,
    # What servers read to learn whose access they must look up again.
    Column("sequence", BigInteger, Identity(always=True), primary_key=True),
    # Absent where it may be anyone's.
    Column("account_id", Uuid),
    Column("create_time", _TIME, nullable=False),
    Column("transaction_id", TransactionId, server_default=text("pg_current_xact_id()"), nullable=False),
    Index("ix_access_changes_since", "transaction_id"),
    Index(None, "create_time"),
    schema="identity",
)
