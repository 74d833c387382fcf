"""An order's whole life: reservations that expire, goods sold, payments and refunds."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TIME = sa.DateTime(timezone=True)
MONEY = sa.Numeric(28, 9)


def upgrade() -> None:
    _let_holds_end()
    _let_stock_be_sold()
    _create_payments()
    _create_refunds()


def _let_holds_end() -> None:
    op.add_column("orders", sa.Column("hold_end_time", TIME), schema="commerce")
    # Existing pending orders were placed without an expiry: they get the full time from now on.
    op.execute("""
        UPDATE commerce.orders
        SET hold_end_time = CASE WHEN state = 'pending' THEN now() ELSE create_time END + interval '15 minutes'
    """)
    op.alter_column("orders", "hold_end_time", nullable=False, schema="commerce")
    # Kept answers to requests that may still be repeated hold orders in the code's current form.
    op.execute("""
        UPDATE frame.request_ids
        SET answer = jsonb_set(answer::jsonb, '{hold_end_time}', answer::jsonb -> 'update_time')::text
        WHERE answer LIKE '{%"cancel_reason"%'
    """)
    op.create_index(
        "ix_orders_by_hold_end",
        "orders",
        ["hold_end_time"],
        schema="commerce",
        postgresql_where=sa.text("state = 'pending'"),
    )


def _let_stock_be_sold() -> None:
    _replace_checks(
        "reason IN ('received', 'returned', 'written_off', 'corrected', 'held', 'released', 'sold', 'expired')",
        "CASE WHEN reason IN ('held', 'released', 'sold', 'expired') THEN order_id IS NOT NULL"
        " ELSE order_id IS NULL OR reason = 'returned' END",
    )
    op.execute(
        "ALTER TABLE commerce.stock_movements ADD COLUMN transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id()"
    )
    op.create_index("ix_stock_movements_since", "stock_movements", ["transaction_id"], schema="commerce")


def _replace_checks(reason: str, order_id: str) -> None:
    for name, condition in (("ck_stock_movements_reason", reason), ("ck_stock_movements_order_id", order_id)):
        op.drop_constraint(name, "stock_movements", schema="commerce")
        op.create_check_constraint(name, "stock_movements", condition, schema="commerce")


def _create_payments() -> None:
    op.create_table(
        "payments",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("created_by", sa.Uuid, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("provider_id", sa.Text),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("amount", MONEY, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("authorised", MONEY, nullable=False),
        sa.Column("captured", MONEY, nullable=False),
        sa.Column("refunded", MONEY, nullable=False),
        sa.Column("failure", sa.Text, nullable=False),
        sa.Column("voided", sa.Boolean, nullable=False),
        sa.Column("client_secret", sa.Text, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_payments"),
        sa.ForeignKeyConstraint(["order_id"], ["commerce.orders.id"], name="fk_payments_order_id"),
        sa.UniqueConstraint("provider", "provider_id", name="uq_payments_provider_provider_id"),
        sa.CheckConstraint(
            "state IN ('pending', 'authorised', 'captured', 'refunded', 'failed', 'voided')", name="ck_payments_state"
        ),
        sa.CheckConstraint(
            "0 <= refunded AND refunded <= captured AND captured <= authorised", name="ck_payments_amounts"
        ),
        schema="commerce",
    )
    for name, columns in (
        ("ix_payments_by_order", ["order_id"]),
        ("ix_payments_by_time", ["create_time", "id"]),
        ("ix_payments_by_state", ["state", "create_time", "id"]),
    ):
        op.create_index(name, "payments", columns, schema="commerce")


def _create_refunds() -> None:
    op.create_table(
        "refunds",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("payment_id", sa.Uuid, nullable=False),
        sa.Column("provider_id", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("amount", MONEY, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_refunds"),
        sa.ForeignKeyConstraint(["payment_id"], ["commerce.payments.id"], name="fk_refunds_payment_id"),
        sa.UniqueConstraint("payment_id", "provider_id", name="uq_refunds_payment_id_provider_id"),
        sa.CheckConstraint("state IN ('pending', 'succeeded', 'failed')", name="ck_refunds_state"),
        sa.CheckConstraint(
            "reason IN ('requested', 'order_cancelled', 'order_expired', 'paid_twice', 'provider')",
            name="ck_refunds_reason",
        ),
        sa.CheckConstraint("amount > 0", name="ck_refunds_amount"),
        schema="commerce",
    )
    op.create_table(
        "refund_lines",
        sa.Column("refund_id", sa.Uuid, nullable=False),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("refund_id", "product_id", name="pk_refund_lines"),
        sa.ForeignKeyConstraint(["refund_id"], ["commerce.refunds.id"], name="fk_refund_lines_refund_id"),
        sa.ForeignKeyConstraint(["product_id"], ["commerce.products.id"], name="fk_refund_lines_product_id"),
        sa.CheckConstraint("quantity > 0", name="ck_refund_lines_quantity"),
        schema="commerce",
    )


def downgrade() -> None:
    """The earlier version's own checks refuse it once goods were sold or a reservation has expired."""
    for table in ("refund_lines", "refunds", "payments"):
        op.drop_table(table, schema="commerce")
    op.drop_column("stock_movements", "transaction_id", schema="commerce")
    _replace_checks(
        "reason IN ('received', 'returned', 'written_off', 'corrected', 'held', 'released')",
        "(order_id IS NOT NULL) = (reason IN ('held', 'released'))",
    )
    op.drop_column("orders", "hold_end_time", schema="commerce")
