"""The tables, with the columns, keys and checks that Backroom has for the same features, and its indexes."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, Numeric, Text, func, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

PENDING = "pending"
HELD = "held"


class Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - as SQLAlchemy documents it
        str: Text,
        int: BigInteger,
        Decimal: Numeric(28, 9),
        datetime: DateTime(timezone=True),
    }


class Product(Base):
    __tablename__ = "products"
    __table_args__ = (CheckConstraint("price >= 0", name="ck_products_price"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(Text(collation="C"), unique=True)
    name: Mapped[str]
    description: Mapped[str]
    price: Mapped[Decimal]
    currency: Mapped[str]
    archived: Mapped[bool]
    version: Mapped[int]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]


class Stock(Base):
    __tablename__ = "stock"
    __table_args__ = (
        CheckConstraint("held >= 0 AND on_hand >= held", name="ck_stock_never_negative"),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.id"), primary_key=True)
    on_hand: Mapped[int]
    held: Mapped[int]
    product: Mapped[Product] = relationship(lazy="raise")


class StockMovement(Base):
    __tablename__ = "stock_movements"
    __table_args__ = (
        CheckConstraint(
            "reason IN ('received', 'returned', 'written_off', 'corrected', 'held', 'released', 'sold', 'expired')",
            name="ck_stock_movements_reason",
        ),
        CheckConstraint(
            "CASE WHEN reason IN ('held', 'released', 'sold', 'expired') THEN order_id IS NOT NULL"
            " ELSE order_id IS NULL OR reason = 'returned' END",
            name="ck_stock_movements_order_id",
        ),
        CheckConstraint("held_after >= 0 AND on_hand_after >= held_after", name="ck_stock_movements_never_negative"),
        Index("ix_stock_movements_ledger", "product_id", "sequence"),
    )

    sequence: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.id"))
    reason: Mapped[str]
    on_hand_delta: Mapped[int]
    held_delta: Mapped[int]
    on_hand_after: Mapped[int]
    held_after: Mapped[int]
    order_id: Mapped[UUID | None]
    note: Mapped[str]
    account_id: Mapped[UUID]
    create_time: Mapped[datetime]


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint(
            "state IN ('pending', 'paid', 'fulfilled', 'cancelled', 'expired', 'refunded')", name="ck_orders_state"
        ),
        Index("uq_orders_reference", "placed_by", "reference", unique=True),
        Index("ix_orders_by_time", "create_time", "id"),
        Index("ix_orders_by_state", "state", "create_time", "id"),
        Index("ix_orders_by_customer", "customer_id", "create_time", "id"),
        Index("ix_orders_by_hold_end", "hold_end_time", postgresql_where=text("state = 'pending'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    reference: Mapped[str | None]
    customer_id: Mapped[str]
    placed_by: Mapped[UUID]
    state: Mapped[str]
    line_count: Mapped[int]
    unit_count: Mapped[int]
    total: Mapped[Decimal]
    currency: Mapped[str]
    cancel_reason: Mapped[str]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    hold_end_time: Mapped[datetime]
    lines: Mapped[list["OrderLine"]] = relationship(order_by="OrderLine.position", lazy="raise")


class OrderLine(Base):
    __tablename__ = "order_lines"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="ck_order_lines_quantity"),
        CheckConstraint("unit_price >= 0", name="ck_order_lines_unit_price"),
    )

    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int]
    unit_price: Mapped[Decimal]
    product: Mapped[Product] = relationship(lazy="raise")

    @property
    def sku(self) -> str:
        return self.product.sku

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.unit_price


class IdempotencyRecord(Base):
    """An earlier request, and the order that it placed."""

    __tablename__ = "idempotency_records"

    caller_id: Mapped[UUID] = mapped_column(primary_key=True)
    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    digest: Mapped[bytes]
    order_id: Mapped[UUID]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class AuditEntry(Base):
    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_list", "create_time", "sequence"),
        Index("ix_audit_entries_caller", "caller_id", "create_time", "sequence"),
        Index("ix_audit_entries_action", "action", "create_time", "sequence"),
        Index("ix_audit_entries_resource", "resource", "create_time", "sequence"),
    )

    sequence: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    create_time: Mapped[datetime]
    caller_id: Mapped[UUID]
    action: Mapped[str]
    resource: Mapped[str]
    address: Mapped[str]
    call_id: Mapped[str]
    result: Mapped[str]
