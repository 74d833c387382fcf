"""events' work behind the answers."""

from collections.abc import Sequence

from server.events.service import Partitions, Purging
from server.events.service.partitions import CREATE_PARTITIONS, DROP_PARTITIONS
from server.events.service.purging import PURGE
from server.events.service.rolling import ROLL_UP, Rolling
from server.frame.jobs import Task


def tasks(partitions: Partitions, purging: Purging) -> Sequence[Task]:
    async def drop_old() -> None:
        await partitions.drop_old()

    return (
        # Days ahead, so that the first event of a day waits for nothing; without a worker, that event makes its own.
        Task(CREATE_PARTITIONS, partitions.create_ahead, every="7 * * * * 30"),
        Task(DROP_PARTITIONS, drop_old, every="37 * * * * 40"),
        # Keys are looked through as a whole.
        Task(PURGE, purging.purge, every="13 3 * * * 20"),
    )


def rollup_tasks(rolling: Rolling) -> Sequence[Task]:
    async def roll_up() -> None:
        await rolling.roll_up()

    # Answers are exact without it, and fast with it.
    return (Task(ROLL_UP, roll_up, every="* * * * * */2"),)
