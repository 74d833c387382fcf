"""Payments have their order's customer, so that an index finds one customer's list."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("payments", sa.Column("customer_id", sa.Text), schema="commerce")
    op.execute("""
        UPDATE commerce.payments SET customer_id = orders.customer_id
        FROM commerce.orders WHERE orders.id = payments.order_id
    """)
    op.alter_column("payments", "customer_id", nullable=False, schema="commerce")
    op.create_index("ix_payments_by_customer", "payments", ["customer_id", "create_time", "id"], schema="commerce")


def downgrade() -> None:
    op.drop_index("ix_payments_by_customer", "payments", schema="commerce")
    op.drop_column("payments", "customer_id", schema="commerce")
