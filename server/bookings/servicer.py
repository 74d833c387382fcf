from collections.abc import AsyncIterator, Callable
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from backroom.bookings.v1 import booking_service_pb2 as pb
from backroom.bookings.v1 import booking_service_pb2_grpc
from server.bookings import messages
from server.bookings.calendar_route import CalendarRoute
from server.bookings.rules.asking import MakeBooking
from server.bookings.rules.calendars import VALID_DAYS
from server.bookings.service import Availability, Bookings, Calendars, Changing, Making, Resources
from server.frame.batching import Batcher
from server.frame.call import Call
from server.frame.paging import by_column, by_columns, key_time, page_by, page_of
from server.frame.resuming import watch_of
from server.frame.wire import optional_name, optional_uuid
from storage.bookings.records import Booking

_BY_START = by_columns(lambda booking: (booking.start_time, booking.id), key_time, UUID)
_BY_SLOT = by_column(lambda slot: slot.start, int)


class BookingServicer(booking_service_pb2_grpc.BookingServiceServicer):
    def __init__(
        self,
        resources: Resources,
        availability: Availability,
        making: Making,
        booking: Batcher[MakeBooking, Booking],
        changing: Changing,
        bookings: Bookings,
        calendars: Calendars,
        calendar_route: CalendarRoute,
        new_id: Callable[[], UUID],
    ) -> None:
        self._resources = resources
        self._availability = availability
        self._making = making
        self._booking = booking
        self._changing = changing
        self._bookings = bookings
        self._calendars = calendars
        self._calendar_route = calendar_route
        self._new_id = new_id

    async def CreateResource(self, request: pb.CreateResourceRequest, call: Call) -> pb.CreateResourceResponse:
        draft = messages.draft(request.resource)
        resource = await self._resources.create(draft, call.change_context(request))
        return pb.CreateResourceResponse(resource=messages.resource(resource))

    async def UpdateResource(self, request: pb.UpdateResourceRequest, call: Call) -> pb.UpdateResourceResponse:
        resource = await self._resources.edit(messages.edit(request), call.change_context(request))
        return pb.UpdateResourceResponse(resource=messages.resource(resource))

    async def GetResource(self, request: pb.GetResourceRequest, call: Call) -> pb.GetResourceResponse:
        resource = await self._resources.get(UUID(request.resource_id))
        return pb.GetResourceResponse(resource=messages.resource(resource))

    async def ListResources(self, request: pb.ListResourcesRequest, call: Call) -> pb.ListResourcesResponse:
        page = page_of(request)
        found = await self._resources.list_latest(
            before=page.after, limit=page.limit, archived=request.include_archived
        )
        resources, next_page_token = page.of(found, messages.resource)
        return pb.ListResourcesResponse(resources=resources, next_page_token=next_page_token)

    async def FindAvailability(
        self,
        request: pb.FindAvailabilityRequest,
        call: Call,
    ) -> pb.FindAvailabilityResponse:
        page = page_by(_BY_SLOT, request)
        search = messages.search(request, after=page.after)
        found = await self._availability.find(search, page.limit)
        rest_after = found.rest - 1 if found.rest is not None else None
        slots, next_page_token = page.of(found.slots, messages.slot, rest_after=rest_after)
        return pb.FindAvailabilityResponse(slots=slots, next_page_token=next_page_token)

    async def CheckSlots(self, request: pb.CheckSlotsRequest, call: Call) -> pb.CheckSlotsResponse:
        refusals = await self._availability.check(messages.slots_to_check(request))
        return pb.CheckSlotsResponse(slots=map(messages.checked_slot, refusals))

    async def Book(self, request: pb.BookRequest, call: Call) -> pb.BookResponse:
        context = call.change_context(request)
        booking = await self._booking.submit(messages.make_booking(request, call.caller, context, self._new_id()))
        return pb.BookResponse(booking=messages.booking(booking))

    async def BookSeries(self, request: pb.BookSeriesRequest, call: Call) -> pb.BookSeriesResponse:
        first = messages.make_booking(request.first, call.caller, call.change_context(request), self._new_id())
        booked = await self._making.book_series(first, messages.recurrence(request.recurrence))
        return pb.BookSeriesResponse(
            series_id=str(booked.series_id),
            bookings=map(messages.booking, booked.bookings),
            skipped=map(messages.skipped, booked.skipped),
        )

    async def Confirm(self, request: pb.ConfirmRequest, call: Call) -> pb.ConfirmResponse:
        booking = await self._changing.confirm(call.caller, UUID(request.booking_id), call.change_context(request))
        return pb.ConfirmResponse(booking=messages.booking(booking))

    async def ConfirmSeries(self, request: pb.ConfirmSeriesRequest, call: Call) -> pb.ConfirmSeriesResponse:
        series_id, context = UUID(request.series_id), call.change_context(request)
        bookings = await self._changing.confirm_series(call.caller, series_id, context)
        return pb.ConfirmSeriesResponse(bookings=map(messages.booking, bookings))

    async def Reschedule(self, request: pb.RescheduleRequest, call: Call) -> pb.RescheduleResponse:
        booking_id, context = UUID(request.booking_id), call.change_context(request)
        start = messages.start(request)
        booking = await self._changing.reschedule(call.caller, booking_id, start, request.duration_minutes, context)
        return pb.RescheduleResponse(booking=messages.booking(booking))

    async def Cancel(self, request: pb.CancelRequest, call: Call) -> pb.CancelResponse:
        booking_id, context = UUID(request.booking_id), call.change_context(request)
        booking = await self._changing.cancel(call.caller, booking_id, request.reason, context)
        return pb.CancelResponse(booking=messages.booking(booking))

    async def CancelSeries(self, request: pb.CancelSeriesRequest, call: Call) -> pb.CancelSeriesResponse:
        series_id, context = UUID(request.series_id), call.change_context(request)
        bookings = await self._changing.cancel_series(call.caller, series_id, request.reason, context)
        return pb.CancelSeriesResponse(bookings=map(messages.booking, bookings))

    async def GetBooking(self, request: pb.GetBookingRequest, call: Call) -> pb.GetBookingResponse:
        booking = await self._bookings.get(call.caller, UUID(request.booking_id))
        return pb.GetBookingResponse(booking=messages.booking(booking))

    async def ListBookings(self, request: pb.ListBookingsRequest, call: Call) -> pb.ListBookingsResponse:
        page = page_by(_BY_START, request)
        wanted = messages.booking_filter(request)
        found = await self._bookings.list_by_start(call.caller, wanted, after=page.after, limit=page.limit)
        bookings, next_page_token = page.of(found, messages.booking)
        return pb.ListBookingsResponse(bookings=bookings, next_page_token=next_page_token)

    async def WatchBookings(
        self, request: pb.WatchBookingsRequest, call: Call
    ) -> AsyncIterator[pb.WatchBookingsResponse]:
        watch = watch_of(request, call.time)
        customer_id, resource_id = optional_name(request.customer_id, "customer_id"), optional_uuid(request.resource_id)
        changes = self._bookings.watch(call.caller, customer_id, resource_id, watch.position)
        async for message in changes:
            booking = messages.booking(message.change.booking) if message.change else None
            yield pb.WatchBookingsResponse(resume_token=watch.token(message.position), booking=booking)

    async def CreateCalendarLink(
        self, request: pb.CreateCalendarLinkRequest, call: Call
    ) -> pb.CreateCalendarLinkResponse:
        resource_id, valid_days = UUID(request.resource_id), request.valid_days or VALID_DAYS
        context, details = call.change_context(request), request.include_details
        link = await self._calendars.link(call.caller, resource_id, valid_days, context, details=details)
        expire_time = Timestamp(seconds=link.until)
        return pb.CreateCalendarLinkResponse(path=self._calendar_route.path_of(link), expire_time=expire_time)

    async def RevokeCalendarLinks(
        self, request: pb.RevokeCalendarLinksRequest, call: Call
    ) -> pb.RevokeCalendarLinksResponse:
        await self._calendars.revoke(UUID(request.resource_id), call.change_context(request))
        return pb.RevokeCalendarLinksResponse()
