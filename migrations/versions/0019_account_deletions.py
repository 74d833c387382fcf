"""Handles of accounts, and the deletion of accounts with all that is stored of a person."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "account_deletions",
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("requested_by", sa.Uuid, nullable=False),
        sa.Column("transfer_to", sa.Uuid),
        sa.Column("erased_parts", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("complete_time", TIME),
        sa.PrimaryKeyConstraint("account_id", name="pk_account_deletions"),
        schema="frame",
    )
    op.add_column("accounts", sa.Column("handle", sa.Text), schema="identity")
    op.create_index("uq_accounts_handle", "accounts", ["handle"], unique=True, schema="identity")
    op.create_table(
        "handles",
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_handles"),
        schema="identity",
    )
    op.create_index("ix_handles_account_id", "handles", ["account_id"], schema="identity")


def downgrade() -> None:
    op.drop_table("handles", schema="identity")
    op.drop_column("accounts", "handle", schema="identity")
    op.drop_table("account_deletions", schema="frame")
