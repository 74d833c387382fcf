"""The tables of bookings, with the promise that Backroom's have: no two bookings of a resource overlap."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from bench.peers.usual.models import Base

CONFIRMED = "confirmed"


class Resource(Base):
    __tablename__ = "resources"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    name: Mapped[str]
    time_zone: Mapped[str]
    opens: Mapped[int]
    """In minutes from midnight on, as `closes`; each day."""
    closes: Mapped[int]
    slot_step_minutes: Mapped[int]
    minimum_notice_minutes: Mapped[int]
    booking_window_minutes: Mapped[int]


class Booking(Base):
    __tablename__ = "bookings"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'confirmed', 'canceled', 'expired')", name="ck_bookings_state"),
        ExcludeConstraint(
            (text("int8range(resource_number, resource_number, '[]')"), "&&"),
            ("occupied", "&&"),
            using="gist",
            where=text("state IN ('pending', 'confirmed')"),
            name="ex_bookings_no_overlap",
        ),
        Index("ix_bookings_by_start", "start_time", "id"),
        Index("ix_bookings_by_customer", "customer_id", "start_time", "id"),
        Index("ix_bookings_by_resource", "resource_id", "start_time", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    resource_id: Mapped[UUID] = mapped_column(ForeignKey("resources.id"))
    resource_number: Mapped[int]
    customer_id: Mapped[str]
    booked_by: Mapped[UUID]
    state: Mapped[str]
    title: Mapped[str]
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    occupied: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]


class BookingRequest(Base):
    """An earlier request, and the booking that it made."""

    __tablename__ = "booking_requests"

    caller_id: Mapped[UUID] = mapped_column(primary_key=True)
    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    digest: Mapped[bytes]
    booking_id: Mapped[UUID]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class Event(Base):
    """What others are told of."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_subject", "subject_id", "sequence"),)

    sequence: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    type: Mapped[str]
    subject_id: Mapped[UUID]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    create_time: Mapped[datetime]
