"""Tasks that are created by a rule: each occurrence once."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from uuid_utils.compat import uuid7

from backroom.tasks.v1 import projects_pb2, tasks_pb2
from backroom.tasks.v1 import task_service_pb2 as pb
from server.tasks.service import Making, RecurringTasks
from storage.database import Database
from storage.tasks.store import TASKS
from tests.fixtures.servers import Api, Running, SharedServer, refusal
from tests.tasks.calling import VIEWER, broken_laws, joined, left, listed, project, rid


class Clock:
    """The time of a worker, as a test has it."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def now(self) -> datetime:
        return self.time


def worker(database: Database, clock: Clock) -> RecurringTasks:
    store = database.store(TASKS)
    return RecurringTasks(store, clock.now, uuid7, Making(store, clock.now, uuid7))


async def daily(api: Api, project_id: str, **rest: object) -> tasks_pb2.RecurringTask:
    """One that occurs at each full hour of the day, from tomorrow on."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT00:00")
    sent = tasks_pb2.RecurringTask(
        project_id=project_id, title="Daily", rule="FREQ=DAILY", local_start=tomorrow, time_zone="UTC"
    )
    sent.MergeFrom(tasks_pb2.RecurringTask(**rest))  # type: ignore[arg-type]
    request = pb.CreateRecurringTaskRequest(request_id=rid(), recurring_task=sent)
    return (await api.tasks.CreateRecurringTask(request)).recurring_task  # type: ignore[no-any-return]


async def test_each_occurrence_has_one_task(server: Running, service: Api, shared_server: SharedServer) -> None:
    """Also those during which no worker ran, and where two workers find them at once."""
    mine = (await project(service)).project_id
    member = await server.sign_in("customer")
    await joined(service, mine, member, VIEWER)
    made = await daily(service, mine, labels=["a"], due_after_minutes=60, assignee_id=str(member.account_id))
    clock = Clock()
    workers = [worker(server.database, clock) for _ in range(2)]
    assert await workers[0].create_due() == 0
    clock.time += timedelta(days=5)
    counts = await asyncio.gather(*(each.create_due() for each in workers))
    assert sum(counts) == 5
    tasks = await listed(service, project_id=mine)
    assert len(tasks) == 5
    assert {each.recurring_task_id for each in tasks} == {made.recurring_task_id}
    assert {each.assignee_id for each in tasks} == {str(member.account_id)}
    due = sorted(each.due_time.ToDatetime(UTC) for each in tasks)
    assert {later - sooner for sooner, later in itertools.pairwise(due)} == {timedelta(days=1)}
    assert due[0] == made.next_time.ToDatetime(UTC) + timedelta(hours=1)
    assert not any(each.creator_id for each in tasks)
    await left(service, mine, member)
    clock.time += timedelta(days=1)
    assert await workers[0].create_due() == 1
    assert next(each.assignee_id for each in await listed(service, page_size=1)) == ""
    assert broken_laws(shared_server.url) == {}


async def test_an_occurrence_cannot_have_a_second_task(
    server: Running, service: Api, shared_server: SharedServer
) -> None:
    """The database itself refuses one, whoever writes it."""
    mine = (await project(service)).project_id
    await daily(service, mine)
    clock = Clock()
    clock.time += timedelta(days=2)
    assert await worker(server.database, clock).create_due() == 2
    both = "UPDATE tasks.tasks SET occurrence_time = (SELECT min(occurrence_time) FROM tasks.tasks)"
    with psycopg.connect(shared_server.url) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(both)


async def test_what_is_paused_creates_nothing_and_begins_again_with_the_next(server: Running, service: Api) -> None:
    """What would have occurred meanwhile is left out."""
    mine = (await project(service)).project_id
    made = await daily(service, mine)
    clock = Clock()
    at_work = worker(server.database, clock)
    change = tasks_pb2.RecurringTask(recurring_task_id=made.recurring_task_id, paused=True)
    paused = (
        await service.tasks.UpdateRecurringTask(pb.UpdateRecurringTaskRequest(recurring_task=change))
    ).recurring_task
    assert not paused.HasField("next_time")
    clock.time += timedelta(days=3)
    assert await at_work.create_due() == 0
    request = pb.UpdateRecurringTaskRequest(
        recurring_task=tasks_pb2.RecurringTask(recurring_task_id=made.recurring_task_id)
    )
    request.update_mask.paths.append("paused")
    resumed = (await service.tasks.UpdateRecurringTask(request)).recurring_task
    assert resumed.next_time == made.next_time
    await service.tasks.DeleteRecurringTask(pb.DeleteRecurringTaskRequest(recurring_task_id=made.recurring_task_id))
    assert await at_work.create_due() == 0
    listing = await service.tasks.ListRecurringTasks(pb.ListRecurringTasksRequest(project_id=mine))
    assert not listing.recurring_tasks


async def test_an_archived_project_gets_no_tasks(server: Running, service: Api) -> None:
    """Its occurrences pass by."""
    mine = (await project(service)).project_id
    await daily(service, mine)
    archive = projects_pb2.Project(project_id=mine, archived=True)
    await service.tasks.UpdateProject(pb.UpdateProjectRequest(project=archive))
    clock = Clock()
    clock.time += timedelta(days=2)
    assert await worker(server.database, clock).create_due() == 0
    assert await listed(service) == []


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"rule": "FREQ=HOURLY"}, "rule"),
        ({"time_zone": "Mars"}, "time_zone"),
        ({"local_start": "2026-02-30T09:00"}, "local_start"),
        ({"rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "rule"),
    ],
)
async def test_a_rule_that_cannot_be_followed_is_refused(service: Api, wrong: dict[str, str], path: str) -> None:
    """The refusal names the field."""
    mine = (await project(service)).project_id
    assert [*(await refusal(daily(service, mine, **wrong))).fields] == [f"recurring_task.{path}"]
