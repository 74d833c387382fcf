from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.base import METADATA

_TIME = DateTime(timezone=True)
# Ordered by its characters on every server, whatever the database's locale.
_NAME = Text(collation="C")

configuration = Table(
    "configuration",
    METADATA,
    # One row: each change of flags, segments or sets locks it, so that versions commit in their order.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    # The latest of those before: a server whose version is not among them has flags that this database never had,
    # such as before a backup was restored.
    Column("earlier_versions", ARRAY(BigInteger), nullable=False),
    Column("update_time", _TIME, nullable=False),
    CheckConstraint("id = 1", name="one"),
    schema="flags",
)

flag_sets = Table(
    "flag_sets",
    METADATA,
    Column("id", _NAME, primary_key=True),
    Column("metadata", JSONB, nullable=False),
    Column("description", Text, nullable=False),
    Column("version", Integer, nullable=False),
    # That of the last change.
    Column("configuration_version", BigInteger, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    Index("ix_flag_sets_configuration_version", "configuration_version"),
    schema="flags",
)

flags = Table(
    "flags",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("flag_set_id", _NAME, ForeignKey("flags.flag_sets.id"), nullable=False),
    Column("key", _NAME, nullable=False),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False),
    # What clients evaluate: variants, default_variant, targeting, metadata, prerequisites.
    Column("document", JSONB, nullable=False),
    Column("description", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("ticket", Text, nullable=False),
    Column("expire_time", _TIME),
    Column("archived", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("configuration_version", BigInteger, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    UniqueConstraint("flag_set_id", "key"),
    CheckConstraint("type IN ('boolean', 'string', 'integer', 'float', 'object')", name="type"),
    CheckConstraint("state IN ('enabled', 'disabled')", name="state"),
    Index("ix_flags_configuration_version", "configuration_version"),
    schema="flags",
)

flag_versions = Table(
    "flag_versions",
    METADATA,
    Column("flag_id", Uuid, ForeignKey("flags.flags.id"), nullable=False),
    Column("version", Integer, nullable=False),
    # The whole flag, as that change left it.
    Column("document", JSONB, nullable=False),
    Column("change", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("changed_by", Uuid, nullable=False),
    Column("approved_by", Uuid),
    Column("configuration_version", BigInteger, nullable=False),
    PrimaryKeyConstraint("flag_id", "version"),
    CheckConstraint(
        "change IN ('created', 'updated', 'archived', 'rolled_back', 'imported', 'rollout', 'switched_off',"
        " 'scheduled')",
        name="change",
    ),
    schema="flags",
)

segments = Table(
    "segments",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("flag_set_id", _NAME, ForeignKey("flags.flag_sets.id"), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("rule", JSONB, nullable=False),
    Column("description", Text, nullable=False),
    # A deleted one stays until a new one takes its name: servers that keep a snapshot learn of it so.
    Column("archived", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("configuration_version", BigInteger, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    UniqueConstraint("flag_set_id", "name"),
    Index("ix_segments_configuration_version", "configuration_version"),
    schema="flags",
)

segment_versions = Table(
    "segment_versions",
    METADATA,
    Column("segment_id", Uuid, ForeignKey("flags.segments.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("rule", JSONB, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("comment", Text, nullable=False),
    Column("changed_by", Uuid, nullable=False),
    Column("approved_by", Uuid),
    Column("configuration_version", BigInteger, nullable=False),
    Column("create_time", _TIME, nullable=False),
    PrimaryKeyConstraint("segment_id", "version"),
    schema="flags",
)

proposals = Table(
    "proposals",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("flag_set_id", Text, nullable=False),
    Column("call", Text, nullable=False),
    Column("subject", Text, nullable=False),
    # The subject's version when it was proposed; 0 where there was none.
    Column("base_version", Integer, nullable=False),
    Column("content", JSONB, nullable=False),
    Column("comment", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("proposed_by", Uuid, nullable=False),
    Column("decided_by", Uuid),
    Column("decision_comment", Text, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("decide_time", _TIME),
    CheckConstraint("state IN ('pending', 'approved', 'rejected', 'withdrawn', 'outdated')", name="state"),
    CheckConstraint("(state = 'pending') = (decide_time IS NULL)", name="decided"),
    CheckConstraint("state <> 'approved' OR decided_by <> proposed_by", name="two_pairs_of_eyes"),
    Index("ix_proposals_by_time", "create_time", "id"),
    Index("ix_proposals_by_state", "state", "create_time", "id"),
    schema="flags",
)

schedules = Table(
    "schedules",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("flag_set_id", _NAME, nullable=False),
    Column("flag_key", _NAME, nullable=False),
    Column("steps", JSONB, nullable=False),
    Column("take_times", ARRAY(_TIME), nullable=False),
    # From when on the next step is to be taken; NULL where none is.
    Column("next_time", _TIME),
    Column("state", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("created_by", Uuid, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    CheckConstraint("state IN ('proposed', 'active', 'paused', 'done', 'canceled', 'failed')", name="state"),
    CheckConstraint("state <> 'active' OR next_time IS NOT NULL", name="active"),
    Index("ix_schedules_by_time", "flag_set_id", "create_time", "id"),
    Index("ix_schedules_by_flag", "flag_set_id", "flag_key", "create_time", "id"),
    Index("ix_schedules_due", "next_time", postgresql_where=text("state = 'active'")),
    schema="flags",
)


def _usage(name: str) -> Table:
    """Counts of one period; without a foreign key to flags, so that counting never waits for a change of one."""
    return Table(
        name,
        METADATA,
        Column("flag_set_id", _NAME, nullable=False),
        Column("flag_key", _NAME, nullable=False),
        Column("variant", _NAME, nullable=False),
        Column("start_time", _TIME, nullable=False),
        Column("count", BigInteger, nullable=False),
        PrimaryKeyConstraint("flag_set_id", "flag_key", "start_time", "variant"),
        CheckConstraint("count > 0", name="count"),
        Index(f"ix_{name}_start_time", "start_time"),
        schema="flags",
    )


usage_minutes = _usage("usage_minutes")
usage_days = _usage("usage_days")
