"""Webhooks: incoming ones, endpoints, and deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("CREATE SCHEMA webhooks")
    op.create_table(
        "received",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("receive_time", TIME, nullable=False),
        sa.Column("process_time", TIME),
        sa.PrimaryKeyConstraint("source", "event_id", name="pk_received"),
        schema="webhooks",
    )
    op.create_index("ix_received_receive_time", "received", ["receive_time"], schema="webhooks")
    _create_endpoints()
    _create_deliveries()
    op.create_table(
        "relay",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_relay"),
        sa.CheckConstraint("id = 1", name="ck_relay_one_row"),
        schema="webhooks",
    )


def _create_endpoints() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("event_types", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("disabled_reason", sa.Text, nullable=False),
        sa.Column("failing_since", TIME),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_endpoints"),
        sa.CheckConstraint("state IN ('enabled', 'disabled')", name="ck_endpoints_state"),
        schema="webhooks",
    )
    op.create_table(
        "endpoint_secrets",
        sa.Column("endpoint_id", sa.Uuid, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("end_time", TIME),
        sa.PrimaryKeyConstraint("endpoint_id", "generation", name="pk_endpoint_secrets"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhooks.endpoints.id"], name="fk_endpoint_secrets_endpoint_id", ondelete="CASCADE"
        ),
        schema="webhooks",
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("endpoint_id", sa.Uuid, nullable=False),
        sa.Column("event_sequence", sa.BigInteger),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempt_count", sa.Integer, nullable=False),
        sa.Column("next_attempt_time", TIME),
        sa.Column("last_attempt_time", TIME),
        sa.Column("response_status", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhooks.endpoints.id"], name="fk_deliveries_endpoint_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("endpoint_id", "event_sequence", name="uq_deliveries_endpoint_id_event_sequence"),
        sa.CheckConstraint("state IN ('pending', 'succeeded', 'failed')", name="ck_deliveries_state"),
        sa.CheckConstraint(
            "(state = 'pending') = (next_attempt_time IS NOT NULL)", name="ck_deliveries_next_attempt_time"
        ),
        schema="webhooks",
    )
    for name, columns in (
        ("ix_deliveries_by_time", ["create_time", "id"]),
        ("ix_deliveries_by_endpoint", ["endpoint_id", "create_time", "id"]),
        ("ix_deliveries_by_state", ["state", "create_time", "id"]),
    ):
        op.create_index(name, "deliveries", columns, schema="webhooks")
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["endpoint_id", "next_attempt_time", "id"],
        schema="webhooks",
        postgresql_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    for table in ("relay", "deliveries", "endpoint_secrets", "endpoints", "received"):
        op.drop_table(table, schema="webhooks")
    op.execute("DROP SCHEMA webhooks")
