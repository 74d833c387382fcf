from datetime import datetime

from sqlalchemy import ColumnElement, Text, literal

from storage.webhooks.records import DeliveryState
from storage.webhooks.tables import deliveries

# Written into the statement, so that a prepared plan still knows that the index over what is pending will do.
_PENDING = literal(DeliveryState.PENDING, Text, literal_execute=True)


def is_due(now: datetime) -> ColumnElement[bool]:
    """Whether a delivery's next attempt is due."""
    return (deliveries.c.state == _PENDING) & (deliveries.c.next_attempt_time <= now)
