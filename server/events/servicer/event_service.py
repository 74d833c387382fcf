import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import TypeVar

from backroom.events.v1 import event_service_pb2 as pb
from backroom.events.v1 import event_service_pb2_grpc
from server.events.messages import events as messages
from server.events.service import Deleting, Events, Exporting, Ingesting
from server.frame.call import Call
from server.frame.paging import by_columns, key_sequence, key_time, page_by
from server.frame.resuming import watch_of
from server.frame.streaming import answered_in_order
from server.frame.wire import period_of

Message = TypeVar("Message")

BATCHES_IN_FLIGHT = 8
"""How many batches of one stream may wait for their answers: past that, the stream is not read on."""

_BY_TIME = by_columns(lambda event: (event.time, event.sequence), key_time, key_sequence)


class EventServicer(event_service_pb2_grpc.EventServiceServicer):
    def __init__(self, ingesting: Ingesting, events: Events, deleting: Deleting, exporting: Exporting) -> None:
        self._ingesting = ingesting
        self._events = events
        self._deleting = deleting
        self._exporting = exporting

    async def IngestEvents(self, request: pb.IngestEventsRequest, call: Call) -> pb.IngestEventsResponse:
        verdicts = await self._ingesting.ingest(messages.sent_events(request), call.caller.account_id)
        return messages.ingested(verdicts)

    async def IngestCloudEvents(self, request: pb.IngestCloudEventsRequest, call: Call) -> pb.IngestCloudEventsResponse:
        verdicts = await self._ingesting.ingest(messages.sent_cloud_events(request), call.caller.account_id)
        return messages.cloud_events_ingested(verdicts)

    async def StreamEvents(
        self, request_iterator: AsyncIterator[pb.StreamEventsRequest], call: Call
    ) -> AsyncIterator[pb.StreamEventsResponse]:
        account_id, numbers = call.caller.account_id, count(1)

        async def ingest(request: pb.StreamEventsRequest) -> pb.StreamEventsResponse:
            number = next(numbers)
            verdicts = await self._ingesting.ingest(messages.sent_events(request), account_id)
            return messages.streamed(number, verdicts)

        paced = self._paced(request_iterator)
        async for response in answered_in_order(paced, ingest, _answer, at_once=BATCHES_IN_FLIGHT):
            yield response

    async def ListEvents(self, request: pb.ListEventsRequest, call: Call) -> pb.ListEventsResponse:
        page, wanted = page_by(_BY_TIME, request), messages.event_filter(request.filter)
        found = await self._events.list_latest(wanted, period_of(request), before=page.after, limit=page.limit)
        events, next_page_token = page.of(found, messages.event)
        return pb.ListEventsResponse(events=events, next_page_token=next_page_token)

    async def ExportEvents(self, request: pb.ExportEventsRequest, call: Call) -> AsyncIterator[pb.ExportEventsResponse]:
        wanted, kind = messages.event_filter(request.filter), messages.export_format(request.format)
        async for piece in self._exporting.export(wanted, period_of(request), kind):
            yield messages.export_piece(piece)

    async def WatchEvents(self, request: pb.WatchEventsRequest, call: Call) -> AsyncIterator[pb.WatchEventsResponse]:
        watch = watch_of(request, call.time)
        async for message in self._events.watch(messages.event_filter(request.filter), watch.position):
            event = messages.event(message.change) if message.change else None
            yield pb.WatchEventsResponse(resume_token=watch.token(message.position), event=event)

    async def DeleteSubject(self, request: pb.DeleteSubjectRequest, call: Call) -> pb.DeleteSubjectResponse:
        deleted = await self._deleting.delete(request.subject, call.change_context(request))
        return pb.DeleteSubjectResponse(deleted_events=deleted.events, deleted_refused_events=deleted.refused_events)

    async def _paced(self, requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
        """Reads on only while there is room for what is read, so that the caller learns of it by flow control."""
        while True:
            await self._ingesting.wait_for_room()
            try:
                request = await anext(requests)
            except StopAsyncIteration:
                return
            yield request


def _answer(_: pb.StreamEventsRequest, found: "asyncio.Future[pb.StreamEventsResponse]") -> pb.StreamEventsResponse:
    return found.result()
