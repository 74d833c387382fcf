"""US spelling in stored values: authorized, orders.fulfill.

The record of changes is not rewritten: it is signed.
"""

from alembic import op

revision = "0015"
down_revision = "0014"

_STATES = "state IN ('pending', '{}', 'captured', 'refunded', 'failed', 'voided')"


def upgrade() -> None:
    _respell("authorised", "authorized", "orders.fulfil", "orders.fulfill")


def downgrade() -> None:
    _respell("authorized", "authorised", "orders.fulfill", "orders.fulfil")


def _respell(old: str, new: str, old_permission: str, new_permission: str) -> None:
    op.drop_constraint("ck_payments_state", "payments", schema="commerce")
    op.alter_column("payments", old, new_column_name=new, schema="commerce")
    _rename_not_null(old, new)
    op.execute(f"UPDATE commerce.payments SET state = '{new}' WHERE state = '{old}'")
    op.create_check_constraint("ck_payments_state", "payments", _STATES.format(new), schema="commerce")
    op.execute(
        "UPDATE identity.roles SET permissions ="
        f" array_replace(permissions, '{old_permission}', '{new_permission}')"
        f" WHERE '{old_permission}' = ANY (permissions)"
    )
    # Inside a JSON string, each of these quotes would be escaped by a backslash.
    op.execute(
        "UPDATE frame.request_ids SET answer ="
        f" replace(replace(answer, '\"{old}\":', '\"{new}\":'), ':\"{old}\"', ':\"{new}\"')"
        f" WHERE answer LIKE '%\"{old}\"%'"
    )


def _rename_not_null(old: str, new: str) -> None:
    """From 18 on, PostgreSQL names these constraints after the column's earlier name."""
    name = "payments_{}_not_null"
    op.execute(f"""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_constraint WHERE conname = '{name.format(old)}') THEN
                ALTER TABLE commerce.payments RENAME CONSTRAINT {name.format(old)} TO {name.format(new)};
            END IF;
        END $$
    """)
