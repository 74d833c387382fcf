"""Events from webhooks and from the log of events: what is declared of them, and up to where the log was read."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

TIME = sa.DateTime(timezone=True)
TEMPLATES = ("source", "type", "subject", "time", "id", "data")


def upgrade() -> None:
    op.create_table(
        "webhook_mappings",
        sa.Column("webhook_source", sa.Text(collation="C"), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in TEMPLATES),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("webhook_source", name="pk_webhook_mappings"),
        schema="events",
    )
    op.create_table(
        "collected",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collected"),
        sa.CheckConstraint("id = 1", name="ck_collected_one_row"),
        schema="events",
    )


def downgrade() -> None:
    op.drop_table("collected", schema="events")
    op.drop_table("webhook_mappings", schema="events")
