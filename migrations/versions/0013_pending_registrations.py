"""An address belongs to the account that verified it; until then, each registration with it is pending separately.

Also when a password was changed: device tokens from before that are no longer valid.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

UNVERIFIED = "kind = 'person' AND verify_time IS NULL"
DUPLICATES = """
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY email ORDER BY verify_time NULLS LAST, create_time, id) AS place
        FROM identity.accounts WHERE kind = 'person'
    ) AS registered WHERE place > 1
"""


def upgrade() -> None:
    op.create_index("ix_sessions_expire_time", "sessions", ["expire_time"], schema="identity")
    op.add_column("accounts", sa.Column("password_time", sa.DateTime(timezone=True)), schema="identity")
    op.drop_constraint("uq_accounts_email", "accounts", schema="identity")
    op.create_index(
        "uq_accounts_email",
        "accounts",
        ["email"],
        unique=True,
        schema="identity",
        postgresql_where=sa.text("verify_time IS NOT NULL"),
    )
    op.create_index(
        "ix_accounts_unverified", "accounts", ["email"], schema="identity", postgresql_where=sa.text(UNVERIFIED)
    )


def downgrade() -> None:
    """Of several registrations with an address, the verified one remains, or else the first."""
    for table in ("mail_tokens", "sessions", "role_grants"):
        op.execute(f"DELETE FROM identity.{table} WHERE account_id IN ({DUPLICATES})")
    op.execute(f"DELETE FROM identity.accounts WHERE id IN ({DUPLICATES})")
    op.drop_index("ix_sessions_expire_time", "sessions", schema="identity")
    op.drop_column("accounts", "password_time", schema="identity")
    op.drop_index("ix_accounts_unverified", "accounts", schema="identity")
    op.drop_index("uq_accounts_email", "accounts", schema="identity")
    op.create_unique_constraint("uq_accounts_email", "accounts", ["email"], schema="identity")
