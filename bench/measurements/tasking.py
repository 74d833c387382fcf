"""Tasks: read, listed and changed by a crowd, beside the usual stack."""

from bench.measurements.sides import CALLERS, calling, usual_rows
from bench.measurements.task_sides import PAGE, TASKS, our_tasks, usual_tasks
from bench.rounds import rounds
from bench.row import Row
from bench.setting import Bench


async def tasking(bench: Bench) -> list[Row]:
    found: list[Row] = []
    async with our_tasks(bench, "tasking") as ours, usual_tasks(bench, "tasking_usual") as usual:
        for name, our_call, usual_call in (
            ("GetTask", ours.get, usual.get),
            (f"ListTasks, a page of {PAGE}", ours.list, usual.list),
            ("UpdateTask", ours.update, usual.update),
        ):
            backroom = calling(bench, f"Backroom: {name}", our_call, ours.pid)
            stack = calling(bench, "the usual stack (ORM)", usual_call, usual.pid)
            await rounds(bench, backroom, stack)
            measured = f"{name}, {TASKS:,} tasks, {CALLERS} callers"
            found += usual_rows(measured, "calls/s", backroom, stack)
    return found
