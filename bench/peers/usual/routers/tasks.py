from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Request, Security
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from bench.peers.usual.placing import Call
from bench.peers.usual.security import Caller, get_caller
from bench.peers.usual.tasking import TaskIn, TaskOut, TaskPage, TaskService

router = APIRouter(prefix="/tasks", tags=["tasks"])


async def get_task_service(request: Request) -> AsyncIterator[TaskService]:
    sessions: async_sessionmaker[AsyncSession] = request.app.state.sessions
    async with sessions() as session:
        yield TaskService(session)


async def get_task_call(
    request: Request, caller: Annotated[Caller, Security(get_caller, scopes=["tasks.write"])]
) -> Call:
    address = request.client.host if request.client else ""
    return Call(caller, uuid4(), address, datetime.now(UTC))


# With the function's scope, the connection returns to the pool before the response is sent.
Tasks = Annotated[TaskService, Depends(get_task_service, scope="function")]
Reader = Annotated[Caller, Security(get_caller, scopes=["tasks.read"])]


@router.get("/{task_id}")
async def get_task(task_id: UUID, caller: Reader, tasks: Tasks) -> TaskOut:
    return await tasks.get(task_id, caller)


@router.get("")
async def list_tasks(
    project_id: UUID,
    caller: Reader,
    tasks: Tasks,
    state: Annotated[list[str], Query(max_length=5)] = [],  # noqa: B006 - FastAPI copies it
    page_token: Annotated[str, Query(max_length=1024)] = "",
    page_size: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> TaskPage:
    return await tasks.list_tasks(project_id, state, page_token, page_size, caller)


@router.patch("/{task_id}")
async def update_task(
    task_id: UUID, asked: TaskIn, call: Annotated[Call, Depends(get_task_call)], tasks: Tasks
) -> TaskOut:
    return await tasks.update(task_id, asked, call)
