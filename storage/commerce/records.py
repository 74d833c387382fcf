from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, get_args
from uuid import UUID

PaymentProvider = Literal["sandbox", "stripe"]
PAYMENT_SOURCES: tuple[PaymentProvider, ...] = get_args(PaymentProvider)
"""Which received events payment providers sent, by the names of their sources: those of the providers."""


class OrderState(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUNDED = "refunded"


class StockReason(StrEnum):
    RECEIVED = "received"
    RETURNED = "returned"
    WRITTEN_OFF = "written_off"
    CORRECTED = "corrected"
    HELD = "held"
    RELEASED = "released"
    SOLD = "sold"
    EXPIRED = "expired"


class PaymentState(StrEnum):
    PENDING = "pending"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    REFUNDED = "refunded"
    FAILED = "failed"
    VOIDED = "voided"


class RefundState(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RefundReason(StrEnum):
    REQUESTED = "requested"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_EXPIRED = "order_expired"
    PAID_TWICE = "paid_twice"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Price:
    """An exact amount of one currency; up to nine decimals are kept."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Product:
    id: UUID
    sku: str
    name: str
    description: str
    price: Price
    archived: bool
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class StockItem:
    """What a product's shelf says: what it is, what it costs, and how much there is."""

    product_id: UUID
    sku: str
    price: Price
    archived: bool
    on_hand: int
    held: int


@dataclass(frozen=True, slots=True)
class StockLevel:
    """How much there is of a product, in pieces."""

    sku: str
    on_hand: int
    held: int


@dataclass(frozen=True, slots=True)
class NewMovement:
    """One entry for a product's ledger; the level afterwards was computed while the stock row was locked."""

    product_id: UUID
    reason: StockReason
    on_hand_delta: int
    held_delta: int
    on_hand_after: int
    held_after: int
    order_id: UUID | None
    note: str
    account_id: UUID
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry of a product's ledger, as kept."""

    sequence: int
    sku: str
    reason: StockReason
    on_hand_delta: int
    held_delta: int
    on_hand_after: int
    held_after: int
    order_id: UUID | None
    note: str
    account_id: UUID
    create_time: datetime


@dataclass(frozen=True, slots=True)
class OrderLine:
    product_id: UUID
    sku: str
    quantity: int
    unit_price: Decimal
    """In the order's currency."""


@dataclass(frozen=True, slots=True)
class Unpaid:
    """What of one customer's is placed and neither paid, cancelled nor expired, and how many orders it has given up."""

    orders: int
    pieces: int
    given_up: int = 0
    """Cancelled or expired."""


@dataclass(frozen=True, slots=True)
class Order:
    id: UUID
    reference: str | None
    customer_id: str
    placed_by: UUID
    state: OrderState
    lines: tuple[OrderLine, ...]
    """In the order of the request; empty in a list of orders."""
    line_count: int
    unit_count: int
    total: Price
    cancel_reason: str
    create_time: datetime
    update_time: datetime
    hold_end_time: datetime
    """When its hold on the stock ends unless it is paid before."""


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders to list; None means any."""

    state: OrderState | None = None
    customer_id: str | None = None
    start_time: datetime | None = None
    """The first time that counts."""
    end_time: datetime | None = None
    """The first time that counts no more."""


@dataclass(frozen=True, slots=True)
class RestockLine:
    """Goods of an order that came back."""

    product_id: UUID
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Refund:
    id: UUID
    payment_id: UUID
    provider_id: str | None
    state: RefundState
    amount: Decimal
    """In the payment's currency."""
    reason: RefundReason
    note: str
    restock: tuple[RestockLine, ...]
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Payment:
    id: UUID
    order_id: UUID
    created_by: UUID
    provider: str
    provider_id: str | None
    """None until the provider has answered."""
    method: str
    state: PaymentState
    amount: Price
    authorized: Decimal
    """In the currency of the amount, as what follows."""
    captured: Decimal
    refunded: Decimal
    failure: str
    voided: bool
    client_secret: str
    refunds: tuple[Refund, ...]
    """The first first; empty in a list of payments."""
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """Which payments to list; None means any."""

    order_id: UUID | None = None
    customer_id: str | None = None
    state: PaymentState | None = None


@dataclass(frozen=True, slots=True)
class OrderAudience:
    """Whom changes of orders are told to; with neither set, they are told of every order."""

    customer_id: str | None = None
    """Only orders of this customer."""
    account_id: UUID | None = None
    """Only orders that this account is the customer of, or has placed."""


@dataclass(frozen=True, slots=True)
class OrderChange:
    """One change of an order."""

    sequence: int
    order: Order
    """As it was after the change, without its lines."""
