from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from storage.base import APPEND_ONLY, METADATA, TransactionId

_TIME = DateTime(timezone=True)
_MONEY = Numeric(28, 9)  # google.type.Money is exact to nine decimals

products = Table(
    "products",
    METADATA,
    Column("id", Uuid, primary_key=True),
    # Ordered by its ASCII characters on every server, whatever the database's locale.
    Column("sku", Text(collation="C"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("price", _MONEY, nullable=False),
    Column("currency", Text, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    UniqueConstraint("sku"),
    CheckConstraint("price >= 0", name="price"),
    schema="commerce",
)

stock = Table(
    "stock",
    METADATA,
    Column("product_id", Uuid, ForeignKey("commerce.products.id"), primary_key=True),
    Column("on_hand", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    CheckConstraint("held >= 0 AND on_hand >= held", name="never_negative"),
    schema="commerce",
    # Rows are updated all day: room on the page keeps the updates from touching the index.
    postgresql_with={"fillfactor": "50"},
)

stock_movements = Table(
    "stock_movements",
    METADATA,
    # Drawn while the product's stock row is locked, so that it grows along each product's ledger.
    Column("sequence", BigInteger, Identity(always=True), primary_key=True),
    Column("product_id", Uuid, ForeignKey("commerce.products.id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("on_hand_delta", BigInteger, nullable=False),
    Column("held_delta", BigInteger, nullable=False),
    Column("on_hand_after", BigInteger, nullable=False),
    Column("held_after", BigInteger, nullable=False),
    Column("order_id", Uuid),
    Column("note", Text, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("transaction_id", TransactionId, server_default=text("pg_current_xact_id()"), nullable=False),
    CheckConstraint(
        "reason IN ('received', 'returned', 'written_off', 'corrected', 'held', 'released', 'sold', 'expired')",
        name="reason",
    ),
    CheckConstraint(
        "CASE WHEN reason IN ('held', 'released', 'sold', 'expired') THEN order_id IS NOT NULL"
        " ELSE order_id IS NULL OR reason = 'returned' END",
        name="order_id",
    ),
    CheckConstraint("held_after >= 0 AND on_hand_after >= held_after", name="never_negative"),
    Index("ix_stock_movements_ledger", "product_id", "sequence"),
    Index("ix_stock_movements_since", "transaction_id"),
    schema="commerce",
    info=APPEND_ONLY,
)

orders = Table(
    "orders",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("reference", Text),
    Column("customer_id", Text, nullable=False),
    Column("placed_by", Uuid, nullable=False),
    Column("state", Text, nullable=False),
    Column("line_count", Integer, nullable=False),
    Column("unit_count", BigInteger, nullable=False),
    Column("total", _MONEY, nullable=False),
    Column("currency", Text, nullable=False),
    Column("cancel_reason", Text, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    Column("hold_end_time", _TIME, nullable=False),
    UniqueConstraint("placed_by", "reference"),
    CheckConstraint(
        "state IN ('pending', 'paid', 'fulfilled', 'cancelled', 'expired', 'refunded')",
        name="state",
    ),
    # One for each list that a caller can ask for, in the order that it is answered in.
    Index("ix_orders_by_time", "create_time", "id"),
    Index("ix_orders_by_state", "state", "create_time", "id"),
    Index("ix_orders_by_customer", "customer_id", "create_time", "id"),
    Index("ix_orders_by_hold_end", "hold_end_time", postgresql_where=text("state = 'pending'")),
    schema="commerce",
)

order_lines = Table(
    "order_lines",
    METADATA,
    Column("order_id", Uuid, ForeignKey("commerce.orders.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("product_id", Uuid, ForeignKey("commerce.products.id"), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("unit_price", _MONEY, nullable=False),
    PrimaryKeyConstraint("order_id", "position"),
    CheckConstraint("quantity > 0", name="quantity"),
    CheckConstraint("unit_price >= 0", name="unit_price"),
    schema="commerce",
)

payments = Table(
    "payments",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("commerce.orders.id"), nullable=False),
    Column("created_by", Uuid, nullable=False),
    Column("provider", Text, nullable=False),
    Column("provider_id", Text),
    Column("method", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("amount", _MONEY, nullable=False),
    Column("currency", Text, nullable=False),
    Column("authorized", _MONEY, nullable=False),
    Column("captured", _MONEY, nullable=False),
    Column("refunded", _MONEY, nullable=False),
    Column("failure", Text, nullable=False),
    Column("voided", Boolean, nullable=False),
    Column("client_secret", Text, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    # Its order's, which never changes.
    Column("customer_id", Text, nullable=False),
    UniqueConstraint("provider", "provider_id"),
    CheckConstraint("state IN ('pending', 'authorized', 'captured', 'refunded', 'failed', 'voided')", name="state"),
    CheckConstraint("0 <= refunded AND refunded <= captured AND captured <= authorized", name="amounts"),
    Index("ix_payments_by_order", "order_id"),
    Index("ix_payments_by_time", "create_time", "id"),
    Index("ix_payments_by_state", "state", "create_time", "id"),
    Index("ix_payments_by_customer", "customer_id", "create_time", "id"),
    schema="commerce",
)

refunds = Table(
    "refunds",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("payment_id", Uuid, ForeignKey("commerce.payments.id"), nullable=False),
    Column("provider_id", Text),
    Column("state", Text, nullable=False),
    Column("amount", _MONEY, nullable=False),
    Column("reason", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    UniqueConstraint("payment_id", "provider_id"),
    CheckConstraint("state IN ('pending', 'succeeded', 'failed')", name="state"),
    CheckConstraint(
        "reason IN ('requested', 'order_cancelled', 'order_expired', 'paid_twice', 'provider')", name="reason"
    ),
    CheckConstraint("amount > 0", name="amount"),
    schema="commerce",
)

refund_lines = Table(
    "refund_lines",
    METADATA,
    Column("refund_id", Uuid, ForeignKey("commerce.refunds.id"), nullable=False),
    Column("product_id", Uuid, ForeignKey("commerce.products.id"), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    PrimaryKeyConstraint("refund_id", "product_id"),
    CheckConstraint("quantity > 0", name="quantity"),
    schema="commerce",
)
