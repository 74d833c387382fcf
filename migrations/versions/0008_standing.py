"""Addresses of sessions, custom roles, API keys with rows of their own, and disabled accounts."""

import sqlalchemy as sa
from alembic import op

from storage.base import TransactionId

revision = "0008"
down_revision = "0007"

TIME = sa.DateTime(timezone=True)
KIND_BEFORE = (
    "(kind = 'person' AND email IS NOT NULL AND password_hash IS NOT NULL AND key_hash IS NULL)"
    " OR (kind = 'service' AND email IS NULL AND password_hash IS NULL AND key_hash IS NOT NULL)"
)
KIND = (
    "(kind = 'person' AND email IS NOT NULL AND password_hash IS NOT NULL)"
    " OR (kind = 'service' AND email IS NULL AND password_hash IS NULL)"
)


def upgrade() -> None:
    for name in ("address", "user_agent"):
        op.add_column("sessions", sa.Column(name, sa.Text, nullable=False, server_default=""), schema="identity")
    op.drop_index("ix_sessions_account_id", "sessions", schema="identity")
    op.create_index("ix_sessions_account_id", "sessions", ["account_id", "create_time", "id"], schema="identity")
    _create_tables()
    for name in ("verify_time", "disable_time"):
        op.add_column("accounts", sa.Column(name, TIME), schema="identity")
    # Users who registered before addresses were verified remain valid.
    op.execute("UPDATE identity.accounts SET verify_time = create_time WHERE kind = 'person'")
    # The first key of a service is derived from the account's id, so that is also the key's id.
    op.execute(
        "INSERT INTO identity.api_keys (id, account_id, prefix, hash, create_time)"
        " SELECT id, id, 'brk_', key_hash, create_time FROM identity.accounts WHERE kind = 'service'"
    )
    op.drop_constraint("ck_accounts_kind", "accounts", schema="identity")
    op.drop_column("accounts", "key_hash", schema="identity")
    op.create_check_constraint("ck_accounts_kind", "accounts", KIND, schema="identity")


def _create_tables() -> None:
    op.create_table(
        "roles",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("permissions", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_roles"),
        schema="identity",
    )
    op.create_table(
        "access_changes",
        sa.Column("sequence", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.Uuid),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("transaction_id", TransactionId, server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_access_changes"),
        schema="identity",
    )
    op.create_index("ix_access_changes_since", "access_changes", ["transaction_id"], schema="identity")
    op.create_index("ix_access_changes_create_time", "access_changes", ["create_time"], schema="identity")
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("expire_time", TIME),
        sa.Column("last_use_time", TIME),
        sa.Column("end_time", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.ForeignKeyConstraint(["account_id"], ["identity.accounts.id"], name="fk_api_keys_account_id"),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
        schema="identity",
    )
    op.create_index("ix_api_keys_account_id", "api_keys", ["account_id"], schema="identity")


def downgrade() -> None:
    op.drop_constraint("ck_accounts_kind", "accounts", schema="identity")
    op.add_column("accounts", sa.Column("key_hash", sa.LargeBinary), schema="identity")
    # A service whose first key has ended gets a hash that no key matches.
    op.execute(
        "UPDATE identity.accounts a SET key_hash = coalesce("
        " (SELECT hash FROM identity.api_keys k WHERE k.id = a.id AND k.end_time IS NULL),"
        " sha256(convert_to('none ' || a.id, 'UTF8'))) WHERE kind = 'service'"
    )
    op.create_unique_constraint("uq_accounts_key_hash", "accounts", ["key_hash"], schema="identity")
    op.create_check_constraint("ck_accounts_kind", "accounts", KIND_BEFORE, schema="identity")
    for table in ("api_keys", "access_changes", "roles"):
        op.drop_table(table, schema="identity")
    for name in ("verify_time", "disable_time"):
        op.drop_column("accounts", name, schema="identity")
    op.drop_index("ix_sessions_account_id", "sessions", schema="identity")
    op.create_index("ix_sessions_account_id", "sessions", ["account_id"], schema="identity")
    for name in ("address", "user_agent"):
        op.drop_column("sessions", name, schema="identity")
