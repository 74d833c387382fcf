"""The record of who changed what, and the chain that seals it."""

import sqlalchemy as sa
from alembic import op

from storage.base import TransactionId

revision = "0007"
down_revision = "0006"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("sequence", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("caller_id", sa.Uuid, nullable=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("action", "resource", "address", "call_id", "result", "key_id")
        ),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.Column("transaction_id", TransactionId, server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit_entries"),
        sa.UniqueConstraint("id", name="uq_audit_entries_id"),
        schema="frame",
    )
    _create_indexes()
    _create_chain()


def _create_chain() -> None:
    op.create_table(
        "audit_seals",
        sa.Column("position", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_audit_seals"),
        sa.UniqueConstraint("sequence", name="uq_audit_seals_sequence"),
        schema="frame",
    )
    op.create_table(
        "audit_anchors",
        sa.Column("position", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_audit_anchors"),
        schema="frame",
    )


def _create_indexes() -> None:
    op.create_index("ix_audit_entries_since", "audit_entries", ["transaction_id", "sequence"], schema="frame")
    op.create_index("ix_audit_entries_list", "audit_entries", ["create_time", "sequence"], schema="frame")
    for column, name in (("caller_id", "caller"), ("action", "action"), ("resource", "resource")):
        columns = [column, "create_time", "sequence"]
        op.create_index(f"ix_audit_entries_{name}", "audit_entries", columns, schema="frame")
    op.create_index(
        "ix_audit_entries_refused",
        "audit_entries",
        ["result", "create_time", "sequence"],
        schema="frame",
        postgresql_where=sa.text("result <> 'OK'"),
    )


def downgrade() -> None:
    op.drop_table("audit_anchors", schema="frame")
    op.drop_table("audit_seals", schema="frame")
    op.drop_table("audit_entries", schema="frame")
