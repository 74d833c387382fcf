from uuid import UUID

from backroom.tasks.v1 import task_service_pb2 as pb
from server.frame.call import Call
from server.frame.paging import page_of
from server.frame.wire import require
from server.tasks.messages import tasks as messages
from server.tasks.servicer.base import Methods


class OwnMethods(Methods):
    """Saved filters, and recurring tasks."""

    async def CreateSavedFilter(self, request: pb.CreateSavedFilterRequest, call: Call) -> pb.CreateSavedFilterResponse:
        sent = request.saved_filter
        require(sent, "name")
        wanted, order = messages.task_filter(sent.filter), messages.order(sent.order)
        saved = await self._use.saved_filters.create(sent.name, wanted, order, call.change_context(request))
        return pb.CreateSavedFilterResponse(saved_filter=messages.saved_filter(saved))

    async def UpdateSavedFilter(self, request: pb.UpdateSavedFilterRequest, call: Call) -> pb.UpdateSavedFilterResponse:
        saved = await self._use.saved_filters.edit(messages.saved_filter_edit(request), call.change_context(request))
        return pb.UpdateSavedFilterResponse(saved_filter=messages.saved_filter(saved))

    async def DeleteSavedFilter(self, request: pb.DeleteSavedFilterRequest, call: Call) -> pb.DeleteSavedFilterResponse:
        await self._use.saved_filters.delete(UUID(request.saved_filter_id), call.change_context(request))
        return pb.DeleteSavedFilterResponse()

    async def ListSavedFilters(self, request: pb.ListSavedFiltersRequest, call: Call) -> pb.ListSavedFiltersResponse:
        page = page_of(request)
        found = await self._use.saved_filters.list_latest(call.caller.account_id, before=page.after, limit=page.limit)
        saved, next_page_token = page.of(found, messages.saved_filter)
        return pb.ListSavedFiltersResponse(saved_filters=saved, next_page_token=next_page_token)

    async def CreateRecurringTask(
        self, request: pb.CreateRecurringTaskRequest, call: Call
    ) -> pb.CreateRecurringTaskResponse:
        draft, context = messages.recurring_task_draft(request.recurring_task), call.change_context(request)
        made = await self._use.recurring_tasks.create(UUID(request.recurring_task.project_id), draft, context)
        return pb.CreateRecurringTaskResponse(recurring_task=messages.recurring_task(made))

    async def UpdateRecurringTask(
        self, request: pb.UpdateRecurringTaskRequest, call: Call
    ) -> pb.UpdateRecurringTaskResponse:
        edit, context = messages.recurring_task_edit(request), call.change_context(request)
        changed = await self._use.recurring_tasks.edit(edit, context)
        return pb.UpdateRecurringTaskResponse(recurring_task=messages.recurring_task(changed))

    async def DeleteRecurringTask(
        self, request: pb.DeleteRecurringTaskRequest, call: Call
    ) -> pb.DeleteRecurringTaskResponse:
        await self._use.recurring_tasks.delete(UUID(request.recurring_task_id), call.change_context(request))
        return pb.DeleteRecurringTaskResponse()

    async def ListRecurringTasks(
        self, request: pb.ListRecurringTasksRequest, call: Call
    ) -> pb.ListRecurringTasksResponse:
        page = page_of(request)
        found = await self._use.recurring_tasks.list_latest(
            call.caller.account_id, UUID(request.project_id), before=page.after, limit=page.limit
        )
        recurring, next_page_token = page.of(found, messages.recurring_task)
        return pb.ListRecurringTasksResponse(recurring_tasks=recurring, next_page_token=next_page_token)
