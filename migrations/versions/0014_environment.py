"""The environment that the database belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "environment",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("adopt_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_environment"),
        sa.CheckConstraint("id = 1", name="ck_environment_one_row"),
        schema="frame",
    )


def downgrade() -> None:
    op.drop_table("environment", schema="frame")
