"""Page tokens: where the last page ended."""

import base64
import json
from datetime import datetime
from uuid import UUID

from bench.peers.usual.errors import PageTokenInvalid


def token_after(create_time: datetime, order_id: UUID) -> str:
    """After the last order of a page."""
    key = [create_time.isoformat(), str(order_id)]
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def key_of(token: str) -> tuple[datetime, UUID] | None:
    """None for the first page, which has no token; raises PageTokenInvalid."""
    if not token:
        return None
    try:
        create_time, order_id = json.loads(base64.urlsafe_b64decode(token))
        return datetime.fromisoformat(create_time), UUID(order_id)
    except (ValueError, TypeError, AttributeError):
        raise PageTokenInvalid from None
