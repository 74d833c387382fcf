"""Meters, and the rollups by minute, hour and day from which they and all types of events are counted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSON

revision = "0024"
down_revision = "0023"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "meters",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("measure", JSON, nullable=False),
        sa.Column("group_by", ARRAY(sa.Text), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_meters"),
        sa.UniqueConstraint("name", name="uq_meters_name"),
        schema="events",
    )
    op.create_table(
        "rollups",
        sa.Column("series", sa.Text(collation="C"), nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("bucket", TIME, nullable=False),
        sa.Column("groups", ARRAY(sa.Text), nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("total", sa.Numeric),
        sa.Column("low", sa.Numeric),
        sa.Column("high", sa.Numeric),
        sa.Column("latest_time", TIME),
        sa.Column("latest_key", sa.Text),
        sa.Column("latest_value", sa.Numeric),
        sa.Column("keys", ARRAY(sa.BigInteger)),
        sa.Column("amounts", ARRAY(sa.BigInteger)),
        sa.CheckConstraint("level BETWEEN 0 AND 2", name="ck_rollups_level"),
        sa.CheckConstraint("count > 0", name="ck_rollups_count"),
        schema="events",
    )
    op.create_index("ix_rollups_by_bucket", "rollups", ["series", "level", "bucket"], schema="events")
    op.create_table(
        "meter_progress",
        sa.Column("meter_id", sa.Uuid, nullable=False),
        sa.Column("ready_from_time", TIME),
        sa.PrimaryKeyConstraint("meter_id", name="pk_meter_progress"),
        schema="events",
    )


def downgrade() -> None:
    for table in ("meter_progress", "rollups", "meters"):
        op.drop_table(table, schema="events")
