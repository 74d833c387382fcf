from typing import Any
from uuid import UUID, uuid5

from backroom.tasks.v1 import task_service_pb2 as pb
from backroom.tasks.v1 import tasks_pb2
from server.frame.call import Call
from server.frame.errors import FieldInvalid, Refusal
from server.frame.paging import BY_TIME, SortOrder, by_columns, key_time, page_by
from server.frame.statuses import status_of
from server.frame.wire import optional_uuid
from server.tasks.messages import tasks as messages
from server.tasks.rules.editing import EditTask, MakeTask
from server.tasks.rules.exporting import csv_of
from server.tasks.service.reading import ListedTask, ReadTask
from server.tasks.servicer.base import Methods
from storage.tasks.records import Task, TaskOrder


def _small(text: str) -> int:
    """A number of the database's int4 out of a page token."""
    number = int(text)
    if not 0 <= number < 2**31:
        raise ValueError("out of range")
    return number


def _relevance(text: str) -> float:
    """A relevance out of a page token."""
    relevance = float(text)
    if not 0 <= relevance < float("inf"):
        raise ValueError("no relevance")
    return relevance


_BY_RELEVANCE = by_columns(lambda found: (found.relevance, found.id), _relevance, UUID)


def _place(listed: ListedTask) -> tuple[Any, UUID]:
    return listed[0].place, listed[0].id


_ORDERS: dict[TaskOrder, SortOrder[Any]] = {
    TaskOrder.RANK: by_columns(lambda ranked: (ranked[0][0].place, ranked[1]), str, _small),
    TaskOrder.CREATE_TIME: by_columns(_place, key_time, UUID),
    TaskOrder.UPDATE_TIME: by_columns(_place, key_time, UUID),
    TaskOrder.DUE_TIME: by_columns(_place, key_time, UUID),
    TaskOrder.PRIORITY: by_columns(_place, _small, UUID),
    TaskOrder.NUMBER: by_columns(_place, _small, UUID),
}


class TaskMethods(Methods):
    """Tasks: made, changed, moved, read and found."""

    async def CreateTask(self, request: pb.CreateTaskRequest, call: Call) -> pb.CreateTaskResponse:
        asked = MakeTask(call.change_context(request), messages.task_draft(request.task))
        return pb.CreateTaskResponse(task=messages.task(await self._use.making.submit(asked)))

    async def UpdateTask(self, request: pb.UpdateTaskRequest, call: Call) -> pb.UpdateTaskResponse:
        edit = messages.task_edit(request, call.caller, call.change_context(request))
        return pb.UpdateTaskResponse(task=messages.task(await self._use.updating.submit(edit)))

    async def BatchUpdateTasks(self, request: pb.BatchUpdateTasksRequest, call: Call) -> pb.BatchUpdateTasksResponse:
        call.further_calls = len(request.requests) - 1
        parts = [self._part(each, place, request.request_id, call) for place, each in enumerate(request.requests)]
        edits = [part for part in parts if isinstance(part, EditTask)]
        outcomes = iter(await self._use.editing.edit_batch(edits))
        results = [_result(next(outcomes) if isinstance(part, EditTask) else part) for part in parts]
        return pb.BatchUpdateTasksResponse(results=results)

    def _part(self, each: pb.UpdateTaskRequest, place: int, request_id: str, call: Call) -> EditTask | Refusal:
        """One change of a batch, whose request_id follows from the batch's and its place there.

        Raises FieldInvalid where it has one of its own.
        """
        if each.request_id:
            raise FieldInvalid.of(f"requests[{place}].request_id", "is the batch's alone")
        if request_id:
            each.request_id = str(uuid5(UUID(request_id), f"tasks.batch/{place}"))
        try:
            return messages.task_edit(each, call.caller, call.change_context(each))
        except FieldInvalid as refusal:
            return refusal

    async def GetTask(self, request: pb.GetTaskRequest, call: Call) -> pb.GetTaskResponse:
        account_id = call.caller.account_id
        if request.WhichOneof("task") == "key":
            return pb.GetTaskResponse(task=messages.task(await self._use.tasks.get_by_key(account_id, request.key)))
        task = await self._use.reading.submit(ReadTask(account_id, UUID(request.task_id)))
        return pb.GetTaskResponse(task=messages.task(task))

    async def ListTasks(self, request: pb.ListTasksRequest, call: Call) -> pb.ListTasksResponse:
        account_id, wanted, order = (
            call.caller.account_id,
            messages.task_filter(request.filter),
            messages.order(request.order),
        )
        page = page_by(_ORDERS[order], request)
        if order is TaskOrder.RANK:
            ranked = await self._use.tasks.list_ranked(account_id, wanted, after=page.after, limit=page.limit)
            pairs = [(listed, ranked.epoch) for listed in ranked.tasks]
            tasks, next_page_token = page.of(pairs, lambda pair: pair[0][1])
        else:
            found = await self._use.tasks.list_tasks(account_id, wanted, order, after=page.after, limit=page.limit)
            tasks, next_page_token = page.of(found, lambda listed: listed[1])
        response = pb.ListTasksResponse.FromString(b"".join(tasks))
        response.next_page_token = next_page_token
        return response

    async def MoveTask(self, request: pb.MoveTaskRequest, call: Call) -> pb.MoveTaskResponse:
        asked = messages.move_task(request, call.change_context(request))
        moved = await self._use.moving.submit(asked)
        return pb.MoveTaskResponse(task=messages.task(moved))

    async def TransferTask(self, request: pb.TransferTaskRequest, call: Call) -> pb.TransferTaskResponse:
        task_id, project_id, context = UUID(request.task_id), UUID(request.project_id), call.change_context(request)
        moved = await self._use.transferring.transfer(task_id, project_id, request.etag, context)
        return pb.TransferTaskResponse(task=messages.task(moved))

    async def SearchTasks(self, request: pb.SearchTasksRequest, call: Call) -> pb.SearchTasksResponse:
        page, project_id = page_by(_BY_RELEVANCE, request), optional_uuid(request.project_id)
        found = await self._use.tasks.search(
            call.caller.account_id, request.query, project_id, after=page.after, limit=page.limit
        )
        tasks, next_page_token = page.of(found, messages.found_task)
        return pb.SearchTasksResponse(tasks=tasks, next_page_token=next_page_token)

    async def ExportTasks(self, request: pb.ExportTasksRequest, call: Call) -> pb.ExportTasksResponse:
        page, wanted = page_by(BY_TIME, request), messages.task_filter(request.filter)
        found = await self._use.tasks.list_whole(call.caller.account_id, wanted, after=page.after, limit=page.limit)
        tasks, next_page_token = page.of(found, messages.task)
        rows = csv_of(found[: len(tasks)], header=page.after is None)
        return pb.ExportTasksResponse(csv=rows, next_page_token=next_page_token)


def _result(outcome: Task | Refusal) -> tasks_pb2.TaskResult:
    if isinstance(outcome, Refusal):
        return tasks_pb2.TaskResult(refusal=status_of(outcome))
    return tasks_pb2.TaskResult(task=messages.task(outcome))
