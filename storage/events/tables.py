"""The tables of events, in two groups that share no transaction and no foreign key.

The data may stand in a database of its own: events, keys, batches, touched, refused events, rollups and how far meters
have them.
What is configured stands in the main database, with its audit entries: event types, meters, and the versions of it all.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON

from storage.base import METADATA, TransactionId

_TIME = DateTime(timezone=True)

events = Table(
    "events",
    METADATA,
    # One partition for each day in UTC, which `events.create_partition` makes.
    Column("time", _TIME, nullable=False),
    # Its batch's, times 65,536, and its place in the batch: a later batch may commit first.
    Column("sequence", BigInteger, nullable=False),
    Column("receive_time", _TIME, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    # Empty where it has none.
    Column("subject", Text, nullable=False),
    # As it was sent, so that numbers keep their digits; NULL where there is none.
    Column("data", JSON(none_as_null=True)),
    # Further attributes, each a text; NULL where there is none.
    Column("attributes", JSON(none_as_null=True)),
    # There is no unique key: it would have to contain the time, and `keys` has what is unique.
    Index("ix_events_by_time", "time", "sequence"),
    Index("ix_events_by_type", "type", "time"),
    Index("ix_events_by_subject", "subject", "time", postgresql_where=text("subject <> ''")),
    # Rows of one batch lie together in each partition.
    Index("ix_events_by_sequence", "sequence", postgresql_using="brin"),
    schema="events",
    postgresql_partition_by="RANGE (time)",
)

keys = Table(
    "keys",
    METADATA,
    # A hash of the source and the id, of 128 bits. It is claimed by the transaction that stores the event, and never
    # before: what is claimed and not stored would be lost.
    Column("key", Uuid, primary_key=True),
    # A hash of the event's content, of as many bits: whether the same event is a duplicate or a conflict.
    Column("digest", Uuid, nullable=False),
    # Which has stored it. There is no index: what is old is found by reading the table through.
    Column("batch", BigInteger, nullable=False),
    schema="events",
)

batches = Table(
    "batches",
    METADATA,
    # One for each transaction that stored events.
    Column("sequence", BigInteger, Identity(always=True), primary_key=True),
    Column("event_count", Integer, nullable=False),
    # Between which times its events lie, so that few partitions are searched for them.
    Column("first_time", _TIME, nullable=False),
    Column("last_time", _TIME, nullable=False),
    Column("receive_time", _TIME, nullable=False),
    Column("transaction_id", TransactionId, server_default=text("pg_current_xact_id()"), nullable=False),
    CheckConstraint("event_count BETWEEN 1 AND 65536", name="event_count"),
    Index("ix_batches_since", "transaction_id"),
    Index("ix_batches_by_receive_time", "receive_time"),
    schema="events",
)

touched = Table(
    "touched",
    METADATA,
    # Which minutes of which type have events that the rollups do not have yet; a minute may be here several times.
    Column("sequence", BigInteger, Identity(always=True), primary_key=True),
    Column("type", Text, nullable=False),
    Column("minute", _TIME, nullable=False),
    Index("ix_touched_by_type", "type", "minute"),
    schema="events",
)

refused_events = Table(
    "refused_events",
    METADATA,
    # A hash of the event with its content: the same one, refused again, is the same row.
    Column("id", Uuid, primary_key=True),
    # As far as they can be stored: of what is too long, the beginning, and without NUL.
    Column("source", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    # The event as JSON, as it was sent.
    Column("event", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    # Whether what is stored is not all of it, so that it cannot be retried.
    Column("truncated", Boolean, nullable=False),
    Column("account_id", Uuid),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    CheckConstraint("attempts > 0", name="attempts"),
    Index("ix_refused_events_by_time", "create_time", "id"),
    Index("ix_refused_events_by_type", "type", "create_time", "id"),
    Index("ix_refused_events_by_subject", "subject", postgresql_where=text("subject <> ''")),
    Index("ix_refused_events_by_update_time", "update_time"),
    schema="events",
)

event_types = Table(
    "event_types",
    METADATA,
    Column("type", Text(collation="C"), primary_key=True),
    Column("description", Text, nullable=False),
    # A JSON schema; empty where any data will do.
    Column("schema", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    CheckConstraint("mode IN ('strict', 'lenient')", name="mode"),
    schema="events",
)

configuration = Table(
    "configuration",
    METADATA,
    # Another number after each change of a part, such as "event_types": until then, processes keep what they read.
    Column("part", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    schema="events",
)

meters = Table(
    "meters",
    METADATA,
    # Of its rollups; a later meter of the same name has another one.
    Column("id", Uuid, primary_key=True),
    Column("name", Text(collation="C"), nullable=False, unique=True),
    Column("description", Text, nullable=False),
    # What it counts, as `storage.events.measures.Measure` has it.
    Column("measure", JSON, nullable=False),
    Column("group_by", ARRAY(Text), nullable=False),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    schema="events",
)

rollups = Table(
    "rollups",
    METADATA,
    # What was counted: "type:" and a type, all of whose events are counted, or "meter:" and a meter's id.
    Column("series", Text(collation="C"), nullable=False),
    # How long the bucket is, by UTC: 0 a minute, 1 an hour, 2 a day.
    Column("level", SmallInteger, nullable=False),
    Column("bucket", _TIME, nullable=False),
    # The values of the properties by which it is grouped, each of which may be NULL.
    Column("groups", ARRAY(Text), nullable=False),
    Column("count", BigInteger, nullable=False),
    # Each NULL where the aggregation has no use for it.
    Column("total", Numeric),
    Column("low", Numeric),
    Column("high", Numeric),
    Column("latest_time", _TIME),
    # The source and the id of the latest, which say which of several at one time it is.
    Column("latest_key", Text),
    Column("latest_value", Numeric),
    # Of distinct values the hashes, or where there are too many the registers and their values; of percentiles the bins
    # and how many numbers are in each.
    Column("keys", ARRAY(BigInteger)),
    Column("amounts", ARRAY(BigInteger)),
    CheckConstraint("level BETWEEN 0 AND 2", name="level"),
    CheckConstraint("count > 0", name="count"),
    # Not unique, since a group may be longer than a key may be: whoever writes a bucket holds a lock, and replaces all.
    Index("ix_rollups_by_bucket", "series", "level", "bucket"),
    schema="events",
)

meter_progress = Table(
    "meter_progress",
    METADATA,
    Column("meter_id", Uuid, primary_key=True),
    # From when on its rollups are complete; NULL where they are nowhere yet.
    Column("ready_from_time", _TIME),
    schema="events",
)
