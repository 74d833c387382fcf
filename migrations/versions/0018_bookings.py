"""Resources, bookings, and the places that they have, no two of which overlap."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE

revision = "0018"
down_revision = "0017"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("CREATE SCHEMA bookings")
    _resources()
    _bookings()
    _occupancies()


def downgrade() -> None:
    op.execute("DROP SCHEMA bookings CASCADE")


def _resources() -> None:
    op.create_table(
        "resources",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("hours", JSONB, nullable=False),
        *(
            sa.Column(name, sa.Integer, nullable=False)
            for name in (
                "capacity",
                "buffer_before_minutes",
                "buffer_after_minutes",
                "minimum_notice_minutes",
                "booking_window_minutes",
                "slot_step_minutes",
                "cancel_cutoff_minutes",
            )
        ),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.Column("choose_time", TIME),
        sa.Column("link_version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_resources"),
        sa.UniqueConstraint("number", name="uq_resources_number"),
        sa.CheckConstraint("capacity BETWEEN 1 AND 1000", name="ck_resources_capacity"),
        sa.CheckConstraint("buffer_before_minutes >= 0 AND buffer_after_minutes >= 0", name="ck_resources_buffers"),
        sa.CheckConstraint("slot_step_minutes > 0", name="ck_resources_slot_step"),
        schema="bookings",
    )
    op.create_index("ix_resources_by_time", "resources", ["create_time", "id"], schema="bookings")


def _bookings() -> None:
    op.create_table(
        "bookings",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("series_id", sa.Uuid),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("booked_by", sa.Uuid, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("resource_ids", sa.ARRAY(sa.Uuid), nullable=False),
        sa.Column("seats", sa.Integer, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("local_start", sa.DateTime(timezone=False), nullable=False),
        sa.Column("local_second", sa.Boolean, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("start_time", TIME, nullable=False),
        sa.Column("end_time", TIME, nullable=False),
        sa.Column("lease_end_time", TIME),
        sa.Column("cancel_reason", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bookings"),
        sa.CheckConstraint("state IN ('pending', 'confirmed', 'canceled', 'expired')", name="ck_bookings_state"),
        sa.CheckConstraint("(state = 'pending') <= (lease_end_time IS NOT NULL)", name="ck_bookings_lease"),
        sa.CheckConstraint("start_time < end_time", name="ck_bookings_times"),
        sa.CheckConstraint("seats > 0 AND cardinality(resource_ids) > 0", name="ck_bookings_something"),
        schema="bookings",
    )
    of_series, pending = sa.text("series_id IS NOT NULL"), sa.text("state = 'pending'")
    _index("ix_bookings_by_start", "bookings", "start_time", "id")
    _index("ix_bookings_by_customer", "bookings", "customer_id", "start_time", "id")
    _index("ix_bookings_by_series", "bookings", "series_id", "start_time", where=of_series)
    _index("ix_bookings_by_lease_end", "bookings", "lease_end_time", where=pending)


def _occupancies() -> None:
    op.create_table(
        "occupancies",
        sa.Column("booking_id", sa.Uuid, nullable=False),
        sa.Column("resource_id", sa.Uuid, nullable=False),
        sa.Column("seat", sa.Integer, nullable=False),
        sa.Column("resource_number", sa.BigInteger, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("start_time", TIME, nullable=False),
        sa.Column("end_time", TIME, nullable=False),
        sa.Column("occupied", TSTZRANGE, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("lease_end_time", TIME),
        sa.PrimaryKeyConstraint("booking_id", "resource_id", "seat", name="pk_occupancies"),
        sa.ForeignKeyConstraint(["booking_id"], ["bookings.bookings.id"], name="fk_occupancies_booking_id"),
        sa.ForeignKeyConstraint(["resource_id"], ["bookings.resources.id"], name="fk_occupancies_resource_id"),
        sa.CheckConstraint("tstzrange(start_time, end_time) <@ occupied", name="ck_occupancies_occupied"),
        sa.CheckConstraint("seat > 0 AND place > 0", name="ck_occupancies_places"),
        schema="bookings",
    )
    op.execute(
        "ALTER TABLE bookings.occupancies ADD CONSTRAINT ex_occupancies_no_overlap EXCLUDE USING gist"
        " (int8range(resource_number, resource_number, '[]') WITH &&, int4range(place, place, '[]') WITH &&,"
        " occupied WITH &&) WHERE (active) DEFERRABLE INITIALLY IMMEDIATE"
    )
    first = sa.text("seat = 1")
    _index("ix_occupancies_by_resource", "occupancies", "resource_id", "start_time", "booking_id", where=first)


def _index(name: str, table: str, *columns: str, where: sa.TextClause | None = None) -> None:
    op.create_index(name, table, list(columns), postgresql_where=where, schema="bookings")
