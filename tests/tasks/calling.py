"""Projects, and what callers ask of tasks, for tests of tasks."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import psycopg

from backroom.tasks.v1 import notes_pb2, projects_pb2, tasks_pb2
from backroom.tasks.v1 import task_service_pb2 as pb
from storage.tasks.laws import LAWS
from tests.fixtures.servers import Api

VIEWER, COMMENTER, EDITOR, OWNER = 1, 2, 3, 4
"""The roles in a project."""

_NUMBERS = itertools.count()


def rid() -> str:
    return str(uuid4())


def a_key() -> str:
    """Another project's key each time."""
    return f"P{next(_NUMBERS)}X{uuid4().hex[:4].upper()}"[:10]


async def project(api: Api, **rest: Any) -> projects_pb2.Project:
    """A new project of the caller's."""
    sent = projects_pb2.Project(**{"key": a_key(), "name": "Project", **rest})
    answer = await api.tasks.CreateProject(pb.CreateProjectRequest(request_id=rid(), project=sent))
    return answer.project  # type: ignore[no-any-return]


async def joined(owner: Api, project_id: str, member: Api, role: Any = EDITOR) -> None:
    request = pb.SetMemberRequest(request_id=rid(), project_id=project_id, account_id=str(member.account_id), role=role)
    await owner.tasks.SetMember(request)


async def left(owner: Api, project_id: str, member: Api) -> None:
    request = pb.RemoveMemberRequest(request_id=rid(), project_id=project_id, account_id=str(member.account_id))
    await owner.tasks.RemoveMember(request)


async def task(api: Api, project_id: str, title: str = "Task", **rest: Any) -> tasks_pb2.Task:
    """A new task."""
    sent = tasks_pb2.Task(project_id=project_id, title=title, **rest)
    return (await api.tasks.CreateTask(pb.CreateTaskRequest(request_id=rid(), task=sent))).task  # type: ignore[no-any-return]


def update(task_id: str, *paths: str, **values: Any) -> pb.UpdateTaskRequest:
    """A request to change what is named, or else what is set."""
    request = pb.UpdateTaskRequest(request_id=rid(), task=tasks_pb2.Task(task_id=task_id, **values))
    request.update_mask.paths.extend(paths)
    return request


async def updated(api: Api, task_id: str, *paths: str, **values: Any) -> tasks_pb2.Task:
    return (await api.tasks.UpdateTask(update(task_id, *paths, **values))).task  # type: ignore[no-any-return]


async def moved(api: Api, task_id: str, **where: Any) -> tasks_pb2.Task:
    request = pb.MoveTaskRequest(request_id=rid(), task_id=task_id, **where)
    return (await api.tasks.MoveTask(request)).task  # type: ignore[no-any-return]


async def found(api: Api, task_id: str) -> tasks_pb2.Task:
    return (await api.tasks.GetTask(pb.GetTaskRequest(task_id=task_id))).task  # type: ignore[no-any-return]


async def listed(
    api: Api, order: Any = tasks_pb2.TASK_ORDER_UNSPECIFIED, page_size: int = 1000, **wanted: Any
) -> list[tasks_pb2.Task]:
    """The tasks of all pages."""
    request = pb.ListTasksRequest(page_size=page_size, order=order, filter=tasks_pb2.TaskFilter(**wanted))
    tasks: list[tasks_pb2.Task] = []
    while True:
        answer = await api.tasks.ListTasks(request)
        tasks += answer.tasks
        if not answer.next_page_token:
            return tasks
        request.page_token = answer.next_page_token


async def activity(api: Api, **of: str) -> list[notes_pb2.Activity]:
    request = pb.ListTaskActivityRequest(page_size=1000, **of)
    return list((await api.tasks.ListTaskActivity(request)).activities)


async def comment(api: Api, task_id: str, text: str = "Well.") -> notes_pb2.Comment:
    sent = notes_pb2.Comment(task_id=task_id, text=text)
    return (await api.tasks.CreateComment(pb.CreateCommentRequest(request_id=rid(), comment=sent))).comment  # type: ignore[no-any-return]


async def worked(api: Api, task_id: str, minutes: int = 15) -> notes_pb2.TimeEntry:
    sent = notes_pb2.TimeEntry(task_id=task_id, minutes=minutes)
    sent.start_time.FromSeconds(1_700_000_000)
    answer = await api.tasks.CreateTimeEntry(pb.CreateTimeEntryRequest(request_id=rid(), time_entry=sent))
    return answer.time_entry  # type: ignore[no-any-return]


async def searched(api: Api, query: str, **rest: Any) -> list[str]:
    """The titles of what is found."""
    answer = await api.tasks.SearchTasks(pb.SearchTasksRequest(query=query, **rest))
    return [each.title for each in answer.tasks]


def broken_laws(url: str) -> Mapping[str, Sequence[str]]:
    """The laws that do not hold, each with what breaks it."""
    broken = {}
    with psycopg.connect(url) as connection:
        for law in LAWS:
            if rows := connection.execute(law.broken.encode()).fetchall():
                broken[law.text] = [str(row[0]) for row in rows]
    return broken
