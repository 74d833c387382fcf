"""Products, their stock as a ledger, and orders."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TIME = sa.DateTime(timezone=True)
MONEY = sa.Numeric(28, 9)


def upgrade() -> None:
    op.execute("CREATE SCHEMA commerce")
    _create_products()
    _create_stock()
    _create_orders()


def _create_products() -> None:
    op.create_table(
        "products",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("sku", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("price", MONEY, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_products"),
        sa.UniqueConstraint("sku", name="uq_products_sku"),
        sa.CheckConstraint("price >= 0", name="ck_products_price"),
        schema="commerce",
    )


def _create_stock() -> None:
    op.create_table(
        "stock",
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("on_hand", sa.BigInteger, nullable=False),
        sa.Column("held", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("product_id", name="pk_stock"),
        sa.ForeignKeyConstraint(["product_id"], ["commerce.products.id"], name="fk_stock_product_id"),
        sa.CheckConstraint("held >= 0 AND on_hand >= held", name="ck_stock_never_negative"),
        schema="commerce",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "stock_movements",
        sa.Column("sequence", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("on_hand_delta", sa.BigInteger, nullable=False),
        sa.Column("held_delta", sa.BigInteger, nullable=False),
        sa.Column("on_hand_after", sa.BigInteger, nullable=False),
        sa.Column("held_after", sa.BigInteger, nullable=False),
        sa.Column("order_id", sa.Uuid),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_stock_movements"),
        sa.ForeignKeyConstraint(["product_id"], ["commerce.products.id"], name="fk_stock_movements_product_id"),
        sa.CheckConstraint(
            "reason IN ('received', 'returned', 'written_off', 'corrected', 'held', 'released')",
            name="ck_stock_movements_reason",
        ),
        sa.CheckConstraint(
            "(order_id IS NOT NULL) = (reason IN ('held', 'released'))", name="ck_stock_movements_order_id"
        ),
        sa.CheckConstraint("held_after >= 0 AND on_hand_after >= held_after", name="ck_stock_movements_never_negative"),
        schema="commerce",
    )
    op.create_index("ix_stock_movements_ledger", "stock_movements", ["product_id", "sequence"], schema="commerce")


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("placed_by", sa.Uuid, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("line_count", sa.Integer, nullable=False),
        sa.Column("unit_count", sa.BigInteger, nullable=False),
        sa.Column("total", MONEY, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("cancel_reason", sa.Text, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        sa.UniqueConstraint("placed_by", "reference", name="uq_orders_placed_by_reference"),
        sa.CheckConstraint(
            "state IN ('pending', 'paid', 'fulfilled', 'cancelled', 'expired', 'refunded')", name="ck_orders_state"
        ),
        schema="commerce",
    )
    for name, columns in (
        ("ix_orders_by_time", ["create_time", "id"]),
        ("ix_orders_by_state", ["state", "create_time", "id"]),
        ("ix_orders_by_customer", ["customer_id", "create_time", "id"]),
    ):
        op.create_index(name, "orders", columns, schema="commerce")
    op.create_table(
        "order_lines",
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("unit_price", MONEY, nullable=False),
        sa.PrimaryKeyConstraint("order_id", "position", name="pk_order_lines"),
        sa.ForeignKeyConstraint(["order_id"], ["commerce.orders.id"], name="fk_order_lines_order_id"),
        sa.ForeignKeyConstraint(["product_id"], ["commerce.products.id"], name="fk_order_lines_product_id"),
        sa.CheckConstraint("quantity > 0", name="ck_order_lines_quantity"),
        sa.CheckConstraint("unit_price >= 0", name="ck_order_lines_unit_price"),
        schema="commerce",
    )


def downgrade() -> None:
    for table in ("order_lines", "orders", "stock_movements", "stock", "products"):
        op.drop_table(table, schema="commerce")
    op.execute("DROP SCHEMA commerce")
