from collections.abc import AsyncIterator

from backroom.tasks.v1 import task_service_pb2 as pb
from server.frame.call import Call
from server.frame.paging import page_of
from server.frame.resuming import watch_of
from server.frame.wire import optional_uuid
from server.tasks.messages import notes as note_messages
from server.tasks.messages import tasks as messages
from server.tasks.servicer.base import Methods
from storage.tasks.records import Comment, Task, TaskChange


class FollowingMethods(Methods):
    """What was changed, and what is being changed."""

    async def ListTaskActivity(self, request: pb.ListTaskActivityRequest, call: Call) -> pb.ListTaskActivityResponse:
        page = page_of(request)
        task_id, project_id = optional_uuid(request.task_id), optional_uuid(request.project_id)
        found = await self._use.tasks.list_activity(
            call.caller.account_id, task_id, project_id, before=page.after, limit=page.limit
        )
        activities, next_page_token = page.of(found, note_messages.activity)
        return pb.ListTaskActivityResponse(activities=activities, next_page_token=next_page_token)

    async def WatchTasks(self, request: pb.WatchTasksRequest, call: Call) -> AsyncIterator[pb.WatchTasksResponse]:
        watch, account_id = watch_of(request, call.time), call.caller.account_id
        async for message in self._use.tasks.watch(account_id, optional_uuid(request.project_id), watch.position):
            response = _change(message.change) if message.change else pb.WatchTasksResponse()
            response.resume_token = watch.token(message.position)
            yield response


def _change(change: TaskChange) -> pb.WatchTasksResponse:
    kind, subject = note_messages.kind(change.kind), change.subject
    if isinstance(subject, Task):
        return pb.WatchTasksResponse(kind=kind, task=messages.task(subject))
    if isinstance(subject, Comment):
        return pb.WatchTasksResponse(kind=kind, comment=note_messages.comment(subject))
    return pb.WatchTasksResponse(kind=kind, time_entry=note_messages.time_entry(subject))
