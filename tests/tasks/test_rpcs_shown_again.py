"""Lists of tasks that were shown before: whatever changed since, and whoever changed it, shows at once."""

from collections.abc import Awaitable, Callable

import psycopg
import pytest

from backroom.tasks.v1 import projects_pb2, tasks_pb2
from tests.fixtures.servers import Api, refusal
from tests.tasks.calling import EDITOR, found, joined, left, listed, moved, project, task, updated

ORDERS = [tasks_pb2.TASK_ORDER_RANK, tasks_pb2.TASK_ORDER_CREATE_TIME, tasks_pb2.TASK_ORDER_DUE_TIME]


async def check_shown(api: Api, project_id: str) -> None:
    """Each list shows each task as it is read by itself, also when it is shown again."""
    for order in ORDERS * 2:
        shown = await listed(api, order, project_id=project_id)
        assert shown == [await found(api, each.task_id) for each in shown]
        assert len(shown) == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda api, ids: updated(api, ids[0], title="Another", labels=["new"], priority=4),
        lambda api, ids: updated(api, ids[0], "due_time", "description"),
        lambda api, ids: updated(api, ids[1], blocked_by_ids=[ids[0], ids[2]]),
        lambda api, ids: updated(api, ids[3], parent_id=ids[2]),
        lambda api, ids: moved(api, ids[2], before_id=ids[0], state=tasks_pb2.TASK_STATE_DONE),
        lambda api, ids: updated(api, ids[0], custom_values=[tasks_pb2.CustomValue(key="size", number=3)]),
    ],
    ids=["texts", "nothing in place of something", "blockers", "parent", "place", "custom value"],
)
async def test_a_change_shows_at_once(
    service: Api, change: Callable[[Api, list[str]], Awaitable[tasks_pb2.Task]]
) -> None:
    """Of a task that was listed a moment before, and of those that it is linked with."""
    size = projects_pb2.CustomField(key="size", name="Size", type=projects_pb2.CUSTOM_FIELD_TYPE_NUMBER)
    project_id = (await project(service, custom_fields=[size])).project_id
    ids = [(await task(service, project_id, description="Long.")).task_id for _ in range(4)]
    await check_shown(service, project_id)
    await change(service, ids)
    await check_shown(service, project_id)


async def test_what_another_server_changed_shows_at_once(service: Api, database_url: str) -> None:
    """Whatever it changed in the row, also where the task has no new version by it: as where ranks are renewed."""
    project_id = (await project(service)).project_id
    for _ in range(4):
        await task(service, project_id)
    await check_shown(service, project_id)
    with psycopg.connect(database_url, autocommit=True) as connection:
        for assignment in ("rank = rank || 'V'", "title = title || ' changed'", "labels = '{other}'"):
            connection.execute(f"UPDATE tasks.tasks SET {assignment} WHERE number <> 2".encode())
            await check_shown(service, project_id)
    shown = await listed(service, project_id=project_id)
    assert sorted(each.title for each in shown) == ["Task", *["Task changed"] * 3]


async def test_who_left_sees_no_task_that_was_shown_before(service: Api, customer: Api) -> None:
    """Neither in the project nor among all tasks, though its other members are still shown it."""
    project_id = (await project(service)).project_id
    await joined(service, project_id, customer, EDITOR)
    await task(service, project_id)
    for api in (service, customer):
        assert len(await listed(api, project_id=project_id)) == 1
    await left(service, project_id, customer)
    assert (await refusal(listed(customer, project_id=project_id))).reason == "PROJECT_NOT_FOUND"
    assert await listed(customer) == []
    assert len(await listed(service, project_id=project_id)) == 1
