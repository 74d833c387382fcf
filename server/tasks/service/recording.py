"""Telling of changes, in the transaction of each."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from server.tasks.rules.history import Happened, told
from storage.tasks.store import TasksTransaction


async def record(tx: TasksTransaction, happened: Sequence[Happened], now: datetime, new_id: Callable[[], UUID]) -> None:
    """Writes one entry of the activity and one event for each change, in their order."""
    activities, events = told(happened, now, new_id)
    await tx.activities.add(activities)
    await tx.events.publish(events)
