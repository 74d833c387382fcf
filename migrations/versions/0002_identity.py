"""Accounts, their roles, their sessions, and the keys that sign tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("CREATE SCHEMA identity")
    op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text),
        sa.Column("key_hash", sa.LargeBinary),
        sa.Column("create_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("email", name="uq_accounts_email"),
        sa.UniqueConstraint("key_hash", name="uq_accounts_key_hash"),
        sa.CheckConstraint(
            "(kind = 'person' AND email IS NOT NULL AND password_hash IS NOT NULL AND key_hash IS NULL)"
            " OR (kind = 'service' AND email IS NULL AND password_hash IS NULL AND key_hash IS NOT NULL)",
            name="ck_accounts_kind",
        ),
        schema="identity",
    )
    op.create_index(
        "uq_accounts_service_name",
        "accounts",
        ["name"],
        unique=True,
        postgresql_where=sa.text("kind = 'service'"),
        schema="identity",
    )
    op.create_index("ix_accounts_list", "accounts", ["kind", "create_time", "id"], schema="identity")
    op.create_table(
        "role_grants",
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "role", name="pk_role_grants"),
        sa.ForeignKeyConstraint(["account_id"], ["identity.accounts.id"], name="fk_role_grants_account_id"),
        schema="identity",
    )
    op.create_index("ix_role_grants_role", "role_grants", ["role"], schema="identity")
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("refresh_time", TIME, nullable=False),
        sa.Column("expire_time", TIME, nullable=False),
        sa.Column("end_time", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["account_id"], ["identity.accounts.id"], name="fk_sessions_account_id"),
        schema="identity",
    )
    op.create_index("ix_sessions_account_id", "sessions", ["account_id"], schema="identity")
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("use", sa.Text, nullable=False),
        sa.Column("material", sa.LargeBinary, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("retire_time", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.CheckConstraint("use IN ('sign', 'derive')", name="ck_keys_use"),
        schema="identity",
    )
    op.create_index(
        "uq_keys_active",
        "keys",
        ["use"],
        unique=True,
        postgresql_where=sa.text("retire_time IS NULL"),
        schema="identity",
    )


def downgrade() -> None:
    for table in ("keys", "sessions", "role_grants", "accounts"):
        op.drop_table(table, schema="identity")
    op.execute("DROP SCHEMA identity")
