"""The systems that keep tasks, ready to be called: as many tasks in one project, read, listed and changed in turn."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import orjson
import psycopg
from sqlalchemy.ext.asyncio import async_sessionmaker

from backroom.tasks.v1.projects_pb2 import Project
from backroom.tasks.v1.task_service_pb2 import (
    CreateProjectRequest,
    GetTaskRequest,
    GetTaskResponse,
    ListTasksRequest,
    ListTasksResponse,
    UpdateTaskRequest,
    UpdateTaskResponse,
)
from backroom.tasks.v1.tasks_pb2 import TASK_STATE_IN_PROGRESS, TASK_STATE_OPEN, Task, TaskFilter
from backroom_client import AsyncBackroom, Key
from bench.measurements.sides import CALLERS, CONNECTIONS
from bench.peers.http1 import head, open_many
from bench.peers.serving import usual
from bench.peers.usual.database import create_engine
from bench.peers.usual.issuing import TokenIssuer
from bench.peers.usual.task_models import EDITOR, Member
from bench.peers.usual.task_models import Project as UsualProject
from bench.setting import Bench
from bench.totals import TotalsMismatch
from load.connections import Connections, Server
from load.loops import Call
from load.order_requests import Unexpected

_SERVICE = "/backroom.tasks.v1.TaskService/"
TASKS = 20_000
PAGE = 50
_STATES = ("in_progress", "open")
_WIRE_STATES = (TASK_STATE_IN_PROGRESS, TASK_STATE_OPEN)
"""Each update sets the one that the task does not have, in the same order."""

_FILL = """
    INSERT INTO {table} (id, project_id, number, title, description, state, priority, {due} labels, custom_values,
        rank, version, create_time, update_time)
    SELECT gen_random_uuid(), %(project)s, n, 'Task ' || n, repeat('What is to be done. ', 10), 'open', 1 + n %% 4,
        {due_value} ARRAY['label' || n %% 20], '[]', 'V' || lpad(n::text, 8, '0'), 1, now() - n * interval '1 second',
        now() - n * interval '1 second'
    FROM generate_series(1, %(tasks)s) AS n
"""


@dataclass(frozen=True, slots=True)
class Tracker:
    """A server, and calls of it, each of which checks its answer."""

    pid: int
    get: Call
    list: Call
    update: Call


class _Turns:
    """A task for each call, one after the other, and how often each was changed."""

    def __init__(self, ids: Sequence[UUID]) -> None:
        self.ids = [str(each) for each in ids]
        self._reads, self._changes = itertools.count(), itertools.count()
        self.changed = 0

    def read(self) -> str:
        return self.ids[next(self._reads) * 7919 % len(self.ids)]

    def change(self) -> tuple[str, int]:
        """A task, and which of both states it is to have."""
        turn, place = divmod(next(self._changes), len(self.ids))
        return self.ids[place], turn % 2


@asynccontextmanager
async def our_tasks(bench: Bench, name: str) -> AsyncIterator[Tracker]:
    """Backroom with its tasks, on a server and a database of its own."""
    url = bench.database(name)
    async with bench.backroom(url) as server:
        async with AsyncBackroom(server.address, Key(server.api_key)) as backroom:
            request = CreateProjectRequest(request_id=str(uuid4()), project=Project(key="BENCH", name="Bench"))
            project_id = (await backroom.tasks.CreateProject(request)).project.project_id
        turns = _Turns(_filled(url, UUID(project_id), ours=True))
        connections = Connections(Server(server.address, server.api_key), CONNECTIONS)
        await connections.open()
        get, listing, updating = (
            connections.method(_SERVICE + each) for each in ("GetTask", "ListTasks", "UpdateTask")
        )
        page = ListTasksRequest(page_size=PAGE, filter=TaskFilter(project_id=project_id, states=_WIRE_STATES))
        page_body = page.SerializeToString()

        async def read(caller: int) -> None:
            task_id = turns.read()
            answer = await get(caller, GetTaskRequest(task_id=task_id).SerializeToString())
            _same(GetTaskResponse.FromString(answer).task.task_id, task_id)

        async def list_page(caller: int) -> None:
            _same(len(ListTasksResponse.FromString(await listing(caller, page_body)).tasks), PAGE)

        async def update(caller: int) -> None:
            task_id, which = turns.change()
            changed = Task(task_id=task_id, state=_WIRE_STATES[which])
            asked = UpdateTaskRequest(request_id=str(uuid4()), task=changed)
            answer = UpdateTaskResponse.FromString(await updating(caller, asked.SerializeToString())).task
            _same((answer.task_id, answer.state), (task_id, _WIRE_STATES[which]))
            turns.changed += 1

        yield Tracker(server.pid, read, list_page, update)
        await connections.close()
    _check(url, "tasks.activities WHERE kind = 'task.updated'", turns)


@asynccontextmanager
async def usual_tasks(bench: Bench, name: str) -> AsyncIterator[Tracker]:
    """The usual stack with as many."""
    url, issuer, account_id = bench.empty_database(name), TokenIssuer(), uuid4()
    bearer = f"Bearer {issuer.token(account_id, ['tasks.read', 'tasks.write'])}"
    with usual(url, "orm", issuer.public_key) as server:
        project_id = await kept_project(url, account_id)
        turns = _Turns(_filled(url, project_id, ours=False))
        host, _, port = server.address.rpartition(":")
        headers = head(host, int(port), authorization=bearer, content_type="application/json")
        connections = await open_many(host, int(port), CALLERS)
        path = f"/tasks?project_id={project_id}&state=open&state=in_progress&page_size={PAGE}".encode()

        async def call(caller: int, method: bytes, path: bytes, body: bytes = b"") -> dict[str, object]:
            status, answer = await connections[caller].call(method, path, headers, body)
            if status != 200:
                raise Unexpected(f"{status}: {answer.decode(errors='replace'):.200}")
            found: dict[str, object] = orjson.loads(answer)
            return found

        async def read(caller: int) -> None:
            task_id = turns.read()
            _same((await call(caller, b"GET", f"/tasks/{task_id}".encode()))["id"], task_id)

        async def list_page(caller: int) -> None:
            tasks = (await call(caller, b"GET", path))["tasks"]
            _same(len(tasks) if isinstance(tasks, list) else 0, PAGE)

        async def update(caller: int) -> None:
            task_id, which = turns.change()
            body = orjson.dumps({"request_id": uuid4(), "state": _STATES[which]})
            answer = await call(caller, b"PATCH", f"/tasks/{task_id}".encode(), body)
            _same((answer["id"], answer["state"]), (task_id, _STATES[which]))
            turns.changed += 1

        yield Tracker(server.pid, read, list_page, update)
        for connection in connections:
            await connection.close()
    _check(url, "public.activities", turns)


async def kept_project(url: str, account_id: UUID) -> UUID:
    """The id of a new project of the usual stack, whose editor is this account."""
    project_id = uuid4()
    engine = create_engine(url)
    async with async_sessionmaker(engine)() as session, session.begin():
        session.add(UsualProject(id=project_id, key="BENCH", archived=False))
        await session.flush()
        session.add(Member(project_id=project_id, account_id=account_id, role=EDITOR))
    await engine.dispose()
    return project_id


def _filled(url: str, project_id: UUID, *, ours: bool) -> Sequence[UUID]:
    """Fills a project with tasks, as many as both have; returns their ids."""
    due = ("due_time,", "'9998-12-31T23:59:59Z',") if ours else ("", "")
    table = "tasks.tasks" if ours else "public.tasks"
    statement = _FILL.format(table=table, due=due[0], due_value=due[1])
    with psycopg.connect(url, autocommit=True) as connection:
        if ours:  # the numbers are registered with the tasks, which this statement does not do
            connection.execute("SET session_replication_role = replica")
        connection.execute(statement.encode(), {"project": project_id, "tasks": TASKS})
        if ours:
            connection.execute("INSERT INTO tasks.numbers SELECT project_id, number, id FROM tasks.tasks")
        connection.execute(f"VACUUM ANALYZE {table}".encode())
        return [row[0] for row in connection.execute(f"SELECT id FROM {table}".encode())]


def _same(found: object, expected: object) -> None:
    if found != expected:
        raise Unexpected(f"{found} is answered where {expected} should be")


def _check(url: str, activities: str, turns: _Turns) -> None:
    """Raises TotalsMismatch unless there is one entry in the activity for each change that was answered."""
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT count(*) FROM {activities}".encode()).fetchone()
    if row is None or row[0] != turns.changed:
        raise TotalsMismatch(f"{turns.changed:,} changes were answered, and {activities} has {row}")
