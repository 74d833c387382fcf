"""The laws of tasks find what the database itself does not refuse."""

from collections.abc import Mapping

import psycopg
import pytest

from tests.fixtures.servers import Api, SharedServer
from tests.tasks.calling import broken_laws, comment, project, task, updated

_DAMAGE: Mapping[str, str] = {
    "each number of a project was given to one task that exists, and none is above the last one given": (
        "UPDATE tasks.projects SET last_number = 1"
    ),
    "no task is above itself": (
        "UPDATE tasks.tasks SET parent_id = (SELECT id FROM tasks.tasks WHERE number = 2) WHERE number = 1"
    ),
    "no task waits for itself": (
        "INSERT INTO tasks.blockers SELECT project_id, blocked_id, blocker_id FROM tasks.blockers"
    ),
    "each version of each task has one entry in its activity, and its update time is that of the last": (
        "UPDATE tasks.tasks SET title = 'Unseen', version = version + 1 WHERE number = 1"
    ),
    "each entry in the activity has one event, of the same kind, as long as events are kept": (
        "DELETE FROM frame.events WHERE type = 'task.commented'"
    ),
    "each project has an owner": "UPDATE tasks.members SET role = 3",
}
"""A statement that breaks each law, and no other one."""


@pytest.mark.parametrize("law", _DAMAGE)
async def test_a_law_finds_planted_damage(service: Api, shared_server: SharedServer, law: str) -> None:
    """And nothing before it is planted."""
    mine = (await project(service)).project_id
    first = await task(service, mine)
    second = await task(service, mine, parent_id=first.task_id)
    await updated(service, second.task_id, blocked_by_ids=[first.task_id])
    await comment(service, first.task_id)
    assert broken_laws(shared_server.url) == {}
    with psycopg.connect(shared_server.url) as connection:
        connection.execute(_DAMAGE[law].encode())
    assert [*broken_laws(shared_server.url)] == [law]
