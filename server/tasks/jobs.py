"""tasks' work behind the answers."""

from collections.abc import Sequence

from server.frame.jobs import Task
from server.tasks.service import RecurringTasks
from server.tasks.service.recurring_tasks import CREATE_DUE


def jobs(recurring_tasks: RecurringTasks) -> Sequence[Task]:
    async def create_due() -> None:
        await recurring_tasks.create_due()

    return (Task(CREATE_DUE, create_due, every="* * * * * */5"),)
