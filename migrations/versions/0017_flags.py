"""Feature flags as they stand and stood, changes that wait or come by themselves, and how often each was served."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0017"
down_revision = "0016"

TIME = sa.DateTime(timezone=True)
NAME = sa.Text(collation="C")


def upgrade() -> None:
    op.execute("CREATE SCHEMA flags")
    _configuration()
    _flags()
    _segments()
    _changes_to_come()
    for name in ("usage_minutes", "usage_days"):
        _usage(name)


def downgrade() -> None:
    op.execute("DROP SCHEMA flags CASCADE")


def _configuration() -> None:
    op.create_table(
        "configuration",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("earlier_versions", sa.ARRAY(sa.BigInteger), nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_configuration"),
        sa.CheckConstraint("id = 1", name="ck_configuration_one"),
        schema="flags",
    )
    op.create_table(
        "flag_sets",
        sa.Column("id", NAME, nullable=False),
        sa.Column("metadata", JSONB, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("configuration_version", sa.BigInteger, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_flag_sets"),
        schema="flags",
    )
    _index("flag_sets", "configuration_version")


def _flags() -> None:
    op.create_table(
        "flags",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("flag_set_id", NAME, nullable=False),
        sa.Column("key", NAME, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("ticket", sa.Text, nullable=False),
        sa.Column("expire_time", TIME),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("configuration_version", sa.BigInteger, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_flags"),
        sa.ForeignKeyConstraint(["flag_set_id"], ["flags.flag_sets.id"], name="fk_flags_flag_set_id"),
        sa.UniqueConstraint("flag_set_id", "key", name="uq_flags_flag_set_id_key"),
        sa.CheckConstraint("type IN ('boolean', 'string', 'integer', 'float', 'object')", name="ck_flags_type"),
        sa.CheckConstraint("state IN ('enabled', 'disabled')", name="ck_flags_state"),
        schema="flags",
    )
    _index("flags", "configuration_version")
    op.create_table(
        "flag_versions",
        sa.Column("flag_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        *_by_whom(),
        sa.PrimaryKeyConstraint("flag_id", "version", name="pk_flag_versions"),
        sa.ForeignKeyConstraint(["flag_id"], ["flags.flags.id"], name="fk_flag_versions_flag_id"),
        sa.CheckConstraint(
            "change IN ('created', 'updated', 'archived', 'rolled_back', 'imported', 'rollout', 'switched_off',"
            " 'scheduled')",
            name="ck_flag_versions_change",
        ),
        schema="flags",
    )


def _segments() -> None:
    op.create_table(
        "segments",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("flag_set_id", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("rule", JSONB, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("configuration_version", sa.BigInteger, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_segments"),
        sa.ForeignKeyConstraint(["flag_set_id"], ["flags.flag_sets.id"], name="fk_segments_flag_set_id"),
        sa.UniqueConstraint("flag_set_id", "name", name="uq_segments_flag_set_id_name"),
        schema="flags",
    )
    _index("segments", "configuration_version")
    op.create_table(
        "segment_versions",
        sa.Column("segment_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("rule", JSONB, nullable=False),
        sa.Column("archived", sa.Boolean, nullable=False),
        *_by_whom(),
        sa.Column("create_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("segment_id", "version", name="pk_segment_versions"),
        sa.ForeignKeyConstraint(["segment_id"], ["flags.segments.id"], name="fk_segment_versions_segment_id"),
        schema="flags",
    )


def _changes_to_come() -> None:
    op.create_table(
        "proposals",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("flag_set_id", sa.Text, nullable=False),
        sa.Column("call", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("base_version", sa.Integer, nullable=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("proposed_by", sa.Uuid, nullable=False),
        sa.Column("decided_by", sa.Uuid),
        sa.Column("decision_comment", sa.Text, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("decide_time", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_proposals"),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'rejected', 'withdrawn', 'outdated')", name="ck_proposals_state"
        ),
        sa.CheckConstraint("(state = 'pending') = (decide_time IS NULL)", name="ck_proposals_decided"),
        sa.CheckConstraint("state <> 'approved' OR decided_by <> proposed_by", name="ck_proposals_two_pairs_of_eyes"),
        schema="flags",
    )
    op.create_index("ix_proposals_by_time", "proposals", ["create_time", "id"], schema="flags")
    op.create_index("ix_proposals_by_state", "proposals", ["state", "create_time", "id"], schema="flags")
    op.create_table(
        "schedules",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("flag_set_id", NAME, nullable=False),
        sa.Column("flag_key", NAME, nullable=False),
        sa.Column("steps", JSONB, nullable=False),
        sa.Column("take_times", sa.ARRAY(TIME), nullable=False),
        sa.Column("next_time", TIME),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("created_by", sa.Uuid, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_schedules"),
        sa.CheckConstraint(
            "state IN ('proposed', 'active', 'paused', 'done', 'canceled', 'failed')", name="ck_schedules_state"
        ),
        sa.CheckConstraint("state <> 'active' OR next_time IS NOT NULL", name="ck_schedules_active"),
        schema="flags",
    )
    by_flag = ["flag_set_id", "flag_key", "create_time", "id"]
    op.create_index("ix_schedules_by_time", "schedules", ["flag_set_id", "create_time", "id"], schema="flags")
    op.create_index("ix_schedules_by_flag", "schedules", by_flag, schema="flags")
    active = sa.text("state = 'active'")
    op.create_index("ix_schedules_due", "schedules", ["next_time"], postgresql_where=active, schema="flags")


def _usage(name: str) -> None:
    op.create_table(
        name,
        sa.Column("flag_set_id", NAME, nullable=False),
        sa.Column("flag_key", NAME, nullable=False),
        sa.Column("variant", NAME, nullable=False),
        sa.Column("start_time", TIME, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("flag_set_id", "flag_key", "start_time", "variant", name=f"pk_{name}"),
        sa.CheckConstraint("count > 0", name=f"ck_{name}_count"),
        schema="flags",
    )
    _index(name, "start_time")


def _by_whom() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("changed_by", sa.Uuid, nullable=False),
        sa.Column("approved_by", sa.Uuid),
        sa.Column("configuration_version", sa.BigInteger, nullable=False),
    )


def _index(table: str, column: str) -> None:
    op.create_index(f"ix_{table}_{column}", table, [column], schema="flags")
