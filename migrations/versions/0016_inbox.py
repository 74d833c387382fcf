"""The inbox of received events moves to the frame: webhooks fills it, and each module handles its own events."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.execute("ALTER TABLE webhooks.received SET SCHEMA frame")
    op.rename_table("received", "inbox", schema="frame")
    _rename_what_hangs_on_it("received", "inbox")


def downgrade() -> None:
    op.rename_table("inbox", "received", schema="frame")
    _rename_what_hangs_on_it("inbox", "received")
    op.execute("ALTER TABLE frame.received SET SCHEMA webhooks")


def _rename_what_hangs_on_it(old: str, new: str) -> None:
    op.execute(f"ALTER TABLE frame.{new} RENAME CONSTRAINT pk_{old} TO pk_{new}")
    op.execute(f"ALTER INDEX frame.ix_{old}_receive_time RENAME TO ix_{new}_receive_time")
    # From 18 on, PostgreSQL names these constraints too, after the table's earlier name.
    for column in ("source", "event_id", "body", "receive_time"):
        op.execute(f"""
            DO $$ BEGIN
                IF EXISTS (
                    SELECT FROM pg_constraint
                    WHERE conrelid = 'frame.{new}'::regclass AND conname = '{old}_{column}_not_null'
                ) THEN
                    ALTER TABLE frame.{new}
                        RENAME CONSTRAINT {old}_{column}_not_null TO {new}_{column}_not_null;
                END IF;
            END $$
        """)
