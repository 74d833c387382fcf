"""Requests and responses as JSON; an amount is a decimal in a string."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class LineIn(BaseModel):
    sku: Annotated[str, Field(min_length=1, max_length=64)]
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]
    unit_price: Annotated[Decimal, Field(ge=0, le=1_000_000_000, decimal_places=9)] | None = None
    """None means the catalog's price."""


class OrderIn(BaseModel):
    request_id: UUID | None = None
    """Makes repeating the request safe."""
    reference: Annotated[str, Field(max_length=64)] = ""
    customer_id: Annotated[str, Field(max_length=64)] = ""
    """Empty means the caller."""
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=2000)]
    hold_seconds: Annotated[int, Field(ge=1, le=2_592_000)] = 900


class EvaluationIn(BaseModel):
    context: dict[str, Any] = {}
    """What is known of whom the flag is evaluated for; `targetingKey` says who that is."""


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class OrderLineOut(Out):
    sku: str
    quantity: int
    unit_price: Decimal
    amount: Decimal


class OrderSummary(Out):
    """An order without its lines."""

    id: UUID
    reference: str | None
    customer_id: str
    placed_by: UUID
    state: str
    line_count: int
    unit_count: int
    total: Decimal
    currency: str
    cancel_reason: str
    create_time: datetime
    update_time: datetime
    hold_end_time: datetime


class OrderOut(OrderSummary):
    lines: list[OrderLineOut]


class OrderPage(BaseModel):
    orders: list[OrderSummary]
    next_page_token: str
    """Empty after the last page."""


class ProductOut(Out):
    id: UUID
    sku: str
    name: str
    description: str
    price: Decimal
    currency: str
    archived: bool
    version: int
    create_time: datetime
    update_time: datetime


class BooleanOut(BaseModel):
    """What a flag evaluates to, and why."""

    key: str
    value: bool
    variant: str | None
    reason: str
    metadata: dict[str, str | int | float | bool]
