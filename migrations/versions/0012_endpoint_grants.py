"""Endpoints have the account that made them, whose permissions decide what they receive.

For existing endpoints it comes from the record of changes. One that is not in the record receives nothing until
its URL or its types are changed, or it is enabled again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    for column in ("created_by", "granted_by"):
        op.add_column("endpoints", sa.Column(column, sa.Uuid), schema="webhooks")
    op.execute("""
        UPDATE webhooks.endpoints SET created_by = made.caller_id, granted_by = made.caller_id
        FROM frame.audit_entries AS made
        WHERE made.action = 'backroom.webhooks.v1.WebhookService/CreateEndpoint' AND made.result = 'OK'
            AND made.resource = 'endpoint/' || endpoints.id
    """)


def downgrade() -> None:
    for column in ("granted_by", "created_by"):
        op.drop_column("endpoints", column, schema="webhooks")
