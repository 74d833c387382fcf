"""Tasks: read, listed and changed by a crowd, beside the usual stack."""

from bench.measurements.sides import CALLERS, calling
from bench.measurements.task_sides import PAGE, TASKS, our_tasks, usual_tasks
from bench.rounds import pairs, postgres_cpu, rate, rounds, server_cpu
from bench.row import Row, row
from bench.setting import Bench

_LEAST_RATIO = 5.0


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
            found.append(row(measured, "calls/s", pairs(backroom, stack, rate), against=stack.name, goal=_LEAST_RATIO))
            found += [
                row(
                    f"{measured}: {what}",
                    "ms",
                    pairs(backroom, stack, figure),
                    against=stack.name,
                    goal=None,
                    lower_is_better=True,
                )
                for what, figure in (
                    ("server CPU of a call", server_cpu),
                    ("PostgreSQL's CPU of a call", postgres_cpu),
                )
            ]
    return found
