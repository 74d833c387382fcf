"""events' work behind the answers."""

from collections.abc import Sequence

from server.events.service.collecting import COLLECT, Collecting
from server.frame.jobs import Task


def collecting_tasks(collecting: Collecting) -> Sequence[Task]:
    async def collect() -> None:
        while await collecting.collect():
            pass

    # What modules tell, and webhooks, are events within a second.
    return (Task(COLLECT, collect, every="* * * * * *"),)
