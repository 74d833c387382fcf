"""Counted attempts, and mails that are to be sent."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "attempts",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("last_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_attempts"),
        schema="identity",
    )
    op.create_index("ix_attempts_last_time", "attempts", ["last_time"], schema="identity")
    _create_mail_tokens()
    op.create_table(
        "mails",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("attempt_count", sa.Integer, nullable=False),
        sa.Column("next_attempt_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mails"),
        schema="identity",
    )
    op.create_index("ix_mails_create_time", "mails", ["create_time"], schema="identity")


def _create_mail_tokens() -> None:
    op.create_table(
        "mail_tokens",
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("expire_time", TIME, nullable=False),
        sa.Column("use_time", TIME),
        sa.Column("address", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_mail_tokens"),
        sa.ForeignKeyConstraint(["account_id"], ["identity.accounts.id"], name="fk_mail_tokens_account_id"),
        sa.CheckConstraint("purpose IN ('verify', 'reset')", name="ck_mail_tokens_purpose"),
        schema="identity",
    )
    op.create_index(
        "uq_mail_tokens_live",
        "mail_tokens",
        ["account_id", "purpose"],
        unique=True,
        schema="identity",
        postgresql_where=sa.text("use_time IS NULL"),
    )
    op.create_index("ix_mail_tokens_account_id", "mail_tokens", ["account_id", "use_time"], schema="identity")
    op.create_index("ix_mail_tokens_expire_time", "mail_tokens", ["expire_time"], schema="identity")


def downgrade() -> None:
    for table in ("mails", "mail_tokens", "attempts"):
        op.drop_table(table, schema="identity")
