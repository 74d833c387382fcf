"""The frame's tables: earlier requests, and their answers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA frame")
    op.create_table(
        "request_ids",
        sa.Column("caller_id", sa.Uuid, nullable=False),
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("caller_id", "request_id", name="pk_request_ids"),
        schema="frame",
    )
    op.create_index("ix_request_ids_create_time", "request_ids", ["create_time"], schema="frame")


def downgrade() -> None:
    op.drop_table("request_ids", schema="frame")
    op.execute("DROP SCHEMA frame")
