from uuid import UUID

from backroom.tasks.v1 import task_service_pb2 as pb
from server.frame.call import Call
from server.frame.paging import page_of
from server.tasks.messages import notes as messages
from server.tasks.servicer.base import Methods


class NoteMethods(Methods):
    """Comments and time entries."""

    async def CreateComment(self, request: pb.CreateCommentRequest, call: Call) -> pb.CreateCommentResponse:
        values, context = messages.comment_values(request.comment), call.change_context(request)
        comment = await self._use.comments.create(UUID(request.comment.task_id), values, context)
        return pb.CreateCommentResponse(comment=messages.comment(comment))

    async def UpdateComment(self, request: pb.UpdateCommentRequest, call: Call) -> pb.UpdateCommentResponse:
        comment = await self._use.comments.edit(messages.comment_edit(request), call.change_context(request))
        return pb.UpdateCommentResponse(comment=messages.comment(comment))

    async def DeleteComment(self, request: pb.DeleteCommentRequest, call: Call) -> pb.DeleteCommentResponse:
        await self._use.comments.delete(UUID(request.comment_id), request.etag, call.change_context(request))
        return pb.DeleteCommentResponse()

    async def ListComments(self, request: pb.ListCommentsRequest, call: Call) -> pb.ListCommentsResponse:
        page = page_of(request)
        found = await self._use.comments.list_latest(
            call.caller.account_id, UUID(request.task_id), before=page.after, limit=page.limit
        )
        comments, next_page_token = page.of(found, messages.comment)
        return pb.ListCommentsResponse(comments=comments, next_page_token=next_page_token)

    async def CreateTimeEntry(self, request: pb.CreateTimeEntryRequest, call: Call) -> pb.CreateTimeEntryResponse:
        values, context = messages.time_entry_values(request.time_entry, call.time), call.change_context(request)
        entry = await self._use.time_entries.create(UUID(request.time_entry.task_id), values, context)
        return pb.CreateTimeEntryResponse(time_entry=messages.time_entry(entry))

    async def UpdateTimeEntry(self, request: pb.UpdateTimeEntryRequest, call: Call) -> pb.UpdateTimeEntryResponse:
        entry = await self._use.time_entries.edit(messages.time_entry_edit(request), call.change_context(request))
        return pb.UpdateTimeEntryResponse(time_entry=messages.time_entry(entry))

    async def DeleteTimeEntry(self, request: pb.DeleteTimeEntryRequest, call: Call) -> pb.DeleteTimeEntryResponse:
        await self._use.time_entries.delete(UUID(request.time_entry_id), request.etag, call.change_context(request))
        return pb.DeleteTimeEntryResponse()

    async def ListTimeEntries(self, request: pb.ListTimeEntriesRequest, call: Call) -> pb.ListTimeEntriesResponse:
        page = page_of(request)
        found = await self._use.time_entries.list_latest(
            call.caller.account_id, UUID(request.task_id), before=page.after, limit=page.limit
        )
        entries, next_page_token = page.of(found, messages.time_entry)
        return pb.ListTimeEntriesResponse(time_entries=entries, next_page_token=next_page_token)
