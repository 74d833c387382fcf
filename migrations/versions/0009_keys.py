"""Sealed keys with rotation; sealed webhook secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

TIME = sa.DateTime(timezone=True)
SEALED = ("identity.keys", "webhooks.endpoint_secrets")


def upgrade() -> None:
    for table in SEALED:
        # Existing keys stay in the clear until the first server, which alone has the master key, seals them.
        op.execute(f"ALTER TABLE {table} ADD sealed boolean NOT NULL DEFAULT false")
        op.execute(f"ALTER TABLE {table} ALTER sealed DROP DEFAULT")
    op.add_column("keys", sa.Column("activate_time", TIME), schema="identity")
    op.execute("UPDATE identity.keys SET activate_time = create_time")
    op.alter_column("keys", "activate_time", nullable=False, schema="identity")
    op.add_column("keys", sa.Column("revoke_time", TIME), schema="identity")
    op.drop_index("uq_keys_active", "keys", schema="identity")
    op.drop_column("keys", "retire_time", schema="identity")


def downgrade() -> None:
    # The earlier version cannot open sealed keys: it makes its own, and everyone signs in again.
    op.execute("DELETE FROM identity.keys WHERE sealed")
    # Nor can it sign with a sealed secret: it gets a random one, until the endpoint's owner rotates it.
    op.execute(
        "UPDATE webhooks.endpoint_secrets"
        " SET secret = sha256(convert_to(gen_random_uuid()::text || gen_random_uuid(), 'UTF8')) WHERE sealed"
    )
    op.add_column("keys", sa.Column("retire_time", TIME), schema="identity")
    op.execute(
        "UPDATE identity.keys k SET retire_time = now() WHERE revoke_time IS NOT NULL OR EXISTS ("
        " SELECT FROM identity.keys n WHERE n.use = k.use AND n.revoke_time IS NULL"
        " AND (n.activate_time, n.id) > (k.activate_time, k.id))"
    )
    op.create_index(
        "uq_keys_active",
        "keys",
        ["use"],
        unique=True,
        postgresql_where=sa.text("retire_time IS NULL"),
        schema="identity",
    )
    for name in ("revoke_time", "activate_time"):
        op.drop_column("keys", name, schema="identity")
    for table in SEALED:
        op.execute(f"ALTER TABLE {table} DROP sealed")
