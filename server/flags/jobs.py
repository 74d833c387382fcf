"""The background jobs of flags."""

from collections.abc import Sequence

from server.flags.service.purging import Purging
from server.flags.service.scheduling import TAKE_STEPS, Schedules
from server.frame.jobs import Task


def tasks(schedules: Schedules, purging: Purging) -> Sequence[Task]:
    async def take_steps() -> None:
        await schedules.take_steps()

    return (
        # A step is taken within a second of its time.
        Task(TAKE_STEPS, take_steps, every="* * * * * *"),
        Task("flags.purge", purging.purge, every="47 * * * * 20"),
    )
