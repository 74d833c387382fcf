"""events' work behind the answers."""

from collections.abc import Sequence

from server.events.service.rolling import ROLL_UP, Rolling
from server.frame.jobs import Task


def rollup_tasks(rolling: Rolling) -> Sequence[Task]:
    async def roll_up() -> None:
        await rolling.roll_up()

    # Answers are exact without it, and fast with it.
    return (Task(ROLL_UP, roll_up, every="* * * * * */2"),)
