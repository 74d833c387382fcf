"""Tasks of a project, moved over its board from column to column by many callers at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from backroom.tasks.v1.notes_pb2 import ACTIVITY_KIND_TASK_MOVED
from backroom.tasks.v1.projects_pb2 import Project
from backroom.tasks.v1.task_service_pb2 import (
    CreateProjectRequest,
    CreateTaskRequest,
    ListProjectsRequest,
    ListTaskActivityRequest,
    ListTasksRequest,
    MoveTaskRequest,
)
from backroom.tasks.v1.tasks_pb2 import (
    EDGE_FIRST,
    TASK_ORDER_RANK,
    TASK_STATE_DONE,
    TASK_STATE_IN_PROGRESS,
    TASK_STATE_IN_REVIEW,
    Task,
    TaskFilter,
)
from backroom_client import AsyncBackroom, refusal_of, request_id_for
from backroom_client.concurrently import concurrently
from replay.calling import IN_FLIGHT, NOT_HERE, NotShown, ReplayFailed
from replay.plan import SHOP

_KEY = "DEMO"
_NAME = "Opening the shop (made by backroom demo)"
TITLES = (
    *("Find a place", "Sign the lease", "Order the shelves", "Paint the walls", "Hire two people", "Print the signs"),
    *("Count the stock", "Label the prices", "Test the till", "Write to the press", "Bake a cake", "Open the door"),
)
COLUMNS = (TASK_STATE_IN_PROGRESS, TASK_STATE_IN_REVIEW, TASK_STATE_DONE)
"""That each task goes through, in this order."""
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class ClearedBoard:
    """What became of a project's tasks."""

    tasks: Sequence[Task]
    """In their order, as the server lists them afterwards."""
    moves: int
    """Entries of the project's activity by which tasks were moved."""

    @property
    def complete(self) -> bool:
        """Whether each task is done, after one move to each column, and none shares its rank with another."""
        ranks = {task.rank for task in self.tasks}
        return self.done == len(ranks) == len(TITLES) and self.moves == len(TITLES) * len(COLUMNS)

    @property
    def done(self) -> int:
        return sum(task.state == TASK_STATE_DONE for task in self.tasks)


async def clear_board(client: AsyncBackroom) -> ClearedBoard:
    """Creates tasks and moves each from column to column, to the top of all; a second time changes nothing.

    Raises NotShown, and ReplayFailed where it cannot go on.
    """
    try:
        project = await _find(client) or await _create(client)
        await _move_all(client, await _tasks(client, project))
        return await _cleared(client, project)
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        text = f"{refusal.reason}: {refusal.message}" if refusal else error.details() or "no answer"
        if error.code() in (*NOT_HERE, grpc.StatusCode.ALREADY_EXISTS):
            raise NotShown(text) from error
        raise ReplayFailed(f"the tasks were not moved: {error.code().name}: {text}") from error


async def _find(client: AsyncBackroom) -> Project | None:
    """What an earlier run made."""
    request = ListProjectsRequest(page_size=_PAGE)
    while True:
        page = await client.tasks.ListProjects(request)
        for project in page.projects:
            if project.key == _KEY:
                return project
        if not page.next_page_token:
            return None
        request.page_token = page.next_page_token


async def _create(client: AsyncBackroom) -> Project:
    request = CreateProjectRequest(request_id=request_id_for(SHOP, "board"), project=Project(key=_KEY, name=_NAME))
    return (await client.tasks.CreateProject(request)).project


async def _tasks(client: AsyncBackroom, project: Project) -> Sequence[Task]:
    """One after the other, so that they have their numbers in this order."""
    requests = [
        CreateTaskRequest(
            request_id=request_id_for(SHOP, "board", project.project_id, title),
            task=Task(project_id=project.project_id, title=title),
        )
        for title in TITLES
    ]
    return [(await client.tasks.CreateTask(request)).task for request in requests]


async def _move_all(client: AsyncBackroom, tasks: Sequence[Task]) -> None:
    """All at once, each to one column after the other."""

    async def move(task: Task) -> None:
        for column in COLUMNS:
            request_id = request_id_for(SHOP, "board", task.task_id, str(column))
            request = MoveTaskRequest(request_id=request_id, task_id=task.task_id, state=column, edge=EDGE_FIRST)
            await client.tasks.MoveTask(request)

    await concurrently(move, tasks, at_once=IN_FLIGHT)


async def _cleared(client: AsyncBackroom, project: Project) -> ClearedBoard:
    wanted = TaskFilter(project_id=project.project_id)
    listed = await client.tasks.ListTasks(ListTasksRequest(page_size=_PAGE, filter=wanted, order=TASK_ORDER_RANK))
    entries = await client.tasks.ListTaskActivity(
        ListTaskActivityRequest(page_size=_PAGE, project_id=project.project_id)
    )
    moves = sum(each.kind == ACTIVITY_KIND_TASK_MOVED for each in entries.activities)
    return ClearedBoard(tuple(listed.tasks), moves)
