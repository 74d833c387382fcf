from backroom.events.v1 import event_type_service_pb2 as pb
from backroom.events.v1 import event_type_service_pb2_grpc
from server.events.messages import events as messages
from server.events.service import EventTypes, RefusedEvents
from server.frame.call import Call
from server.frame.paging import by_column, page_by, page_of

_BY_NAME = by_column(lambda event_type: event_type.type, str)


class EventTypeServicer(event_type_service_pb2_grpc.EventTypeServiceServicer):
    def __init__(self, event_types: EventTypes, refused_events: RefusedEvents) -> None:
        self._event_types = event_types
        self._refused_events = refused_events

    async def CreateEventType(self, request: pb.CreateEventTypeRequest, call: Call) -> pb.CreateEventTypeResponse:
        context = call.change_context(request)
        created = await self._event_types.create(*messages.event_type_draft(request.event_type), context)
        return pb.CreateEventTypeResponse(event_type=messages.event_type(created))

    async def UpdateEventType(self, request: pb.UpdateEventTypeRequest, call: Call) -> pb.UpdateEventTypeResponse:
        changed = await self._event_types.edit(messages.event_type_edit(request), call.change_context(request))
        return pb.UpdateEventTypeResponse(event_type=messages.event_type(changed))

    async def GetEventType(self, request: pb.GetEventTypeRequest, call: Call) -> pb.GetEventTypeResponse:
        return pb.GetEventTypeResponse(event_type=messages.event_type(await self._event_types.get(request.type)))

    async def ListEventTypes(self, request: pb.ListEventTypesRequest, call: Call) -> pb.ListEventTypesResponse:
        page = page_by(_BY_NAME, request)
        found = await self._event_types.list_by_type(after=page.after, limit=page.limit)
        event_types, next_page_token = page.of(found, messages.event_type)
        return pb.ListEventTypesResponse(event_types=event_types, next_page_token=next_page_token)

    async def DeleteEventType(self, request: pb.DeleteEventTypeRequest, call: Call) -> pb.DeleteEventTypeResponse:
        await self._event_types.delete(request.type, request.etag, call.change_context(request))
        return pb.DeleteEventTypeResponse()

    async def ListRefusedEvents(self, request: pb.ListRefusedEventsRequest, call: Call) -> pb.ListRefusedEventsResponse:
        page, wanted = page_of(request), messages.refused_event_filter(request.filter)
        found = await self._refused_events.list_latest(wanted, before=page.after, limit=page.limit)
        refused_events, next_page_token = page.of(found, messages.refused_event)
        return pb.ListRefusedEventsResponse(refused_events=refused_events, next_page_token=next_page_token)

    async def RetryRefusedEvents(
        self, request: pb.RetryRefusedEventsRequest, call: Call
    ) -> pb.RetryRefusedEventsResponse:
        wanted = messages.refused_event_filter(request.filter, request.refused_event_ids)
        retried = await self._refused_events.retry(wanted, call.change_context(request))
        return pb.RetryRefusedEventsResponse(
            stored=retried.stored,
            duplicates=retried.duplicates,
            conflicts=retried.conflicts,
            refused=retried.refused,
        )
