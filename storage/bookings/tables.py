from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE, ExcludeConstraint

from storage.base import METADATA

_TIME = DateTime(timezone=True)

resources = Table(
    "resources",
    METADATA,
    Column("id", Uuid, primary_key=True),
    # By which occupancies are known to be of one resource: PostgreSQL has ranges of numbers, and none of UUIDs.
    Column("number", BigInteger, Identity(always=True), nullable=False),
    Column("name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    # Opening hours, exceptions and holidays.
    Column("hours", JSONB, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("buffer_before_minutes", Integer, nullable=False),
    Column("buffer_after_minutes", Integer, nullable=False),
    Column("minimum_notice_minutes", Integer, nullable=False),
    Column("booking_window_minutes", Integer, nullable=False),
    Column("slot_step_minutes", Integer, nullable=False),
    Column("cancel_cutoff_minutes", Integer, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    # When it was last chosen where others would have done as well.
    Column("choose_time", _TIME),
    # Links to its calendar are of a version; those of an earlier one are revoked.
    Column("link_version", Integer, nullable=False),
    UniqueConstraint("number"),
    CheckConstraint("capacity BETWEEN 1 AND 1000", name="capacity"),
    CheckConstraint("buffer_before_minutes >= 0 AND buffer_after_minutes >= 0", name="buffers"),
    CheckConstraint("slot_step_minutes > 0", name="slot_step"),
    Index("ix_resources_by_time", "create_time", "id"),
    schema="bookings",
)

bookings = Table(
    "bookings",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("series_id", Uuid),
    Column("customer_id", Text, nullable=False),
    Column("booked_by", Uuid, nullable=False),
    Column("state", Text, nullable=False),
    Column("resource_ids", ARRAY(Uuid), nullable=False),
    Column("seats", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("local_start", DateTime(timezone=False), nullable=False),
    # Of a local time that comes twice, whether it is the second one.
    Column("local_second", Boolean, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("start_time", _TIME, nullable=False),
    Column("end_time", _TIME, nullable=False),
    Column("lease_end_time", _TIME),
    Column("cancel_reason", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    CheckConstraint("state IN ('pending', 'confirmed', 'canceled', 'expired')", name="state"),
    CheckConstraint("(state = 'pending') <= (lease_end_time IS NOT NULL)", name="lease"),
    CheckConstraint("start_time < end_time", name="times"),
    CheckConstraint("seats > 0 AND cardinality(resource_ids) > 0", name="something"),
    # One for each list that a caller can request, in the order that it is answered in.
    Index("ix_bookings_by_start", "start_time", "id"),
    Index("ix_bookings_by_customer", "customer_id", "start_time", "id"),
    Index("ix_bookings_by_series", "series_id", "start_time", postgresql_where=text("series_id IS NOT NULL")),
    Index("ix_bookings_by_lease_end", "lease_end_time", postgresql_where=text("state = 'pending'")),
    schema="bookings",
)

occupancies = Table(
    "occupancies",
    METADATA,
    Column("booking_id", Uuid, ForeignKey("bookings.bookings.id"), nullable=False),
    Column("resource_id", Uuid, ForeignKey("bookings.resources.id"), nullable=False),
    # Counts the seats of a booking at one resource from 1 on.
    Column("seat", Integer, nullable=False),
    Column("resource_number", BigInteger, nullable=False),
    # Which of the places of the resource it has, from 1 to its capacity.
    Column("place", Integer, nullable=False),
    # The booking's own time, and the same with its buffers.
    Column("start_time", _TIME, nullable=False),
    Column("end_time", _TIME, nullable=False),
    Column("occupied", TSTZRANGE, nullable=False),
    # Whether the booking is pending or confirmed.
    Column("active", Boolean, nullable=False),
    Column("lease_end_time", _TIME),
    PrimaryKeyConstraint("booking_id", "resource_id", "seat"),
    # The promise: no two bookings have a place at the same time, whoever writes them.
    # Checked at the end of each statement, so that one statement may have bookings trade places.
    ExcludeConstraint(
        (text("int8range(resource_number, resource_number, '[]')"), "&&"),
        (text("int4range(place, place, '[]')"), "&&"),
        ("occupied", "&&"),
        using="gist",
        where=text("active"),
        deferrable=True,
        initially="IMMEDIATE",
        name="ex_occupancies_no_overlap",
    ),
    CheckConstraint("tstzrange(start_time, end_time) <@ occupied", name="occupied"),
    CheckConstraint("seat > 0 AND place > 0", name="places"),
    Index("ix_occupancies_by_resource", "resource_id", "start_time", "booking_id", postgresql_where=text("seat = 1")),
    schema="bookings",
)
