"""What the tests of the contract are told of bookings."""

from collections.abc import Mapping, Sequence

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from backroom.bookings.v1 import booking_service_pb2 as pb
from backroom.bookings.v1 import resources_pb2
from server.frame.wire import timestamp
from tests.bookings.calling import ahead, ask, booked, found, made, room, series
from tests.commerce.goods import raw
from tests.contract.rows import ContractRows
from tests.contract.scenario import Scenario, fresh
from tests.fixtures.servers import Api, Running

_ONE = "booking/{answer.booking.booking_id}"


async def keep_resources(scenario: Scenario) -> None:
    """A resource, by each method that changes one."""
    admin, resource = scenario.admin, "resource/{answer.resource.resource_id}"
    create = pb.CreateResourceRequest(request_id=fresh(), resource=room())
    made = await scenario.change(admin, "CreateResource", create, resource)
    changed = resources_pb2.Resource(resource_id=made.resource.resource_id, name="Hall")
    update = pb.UpdateResourceRequest(request_id=fresh(), resource=changed, update_mask=FieldMask(paths=["name"]))
    await scenario.change(admin, "UpdateResource", update, resource)
    named = {"resource_id": made.resource.resource_id}
    link = pb.CreateCalendarLinkRequest(request_id=fresh(), include_details=True, **named)
    await scenario.change(admin, "CreateCalendarLink", link, f"resource/{made.resource.resource_id}")
    revoke = pb.RevokeCalendarLinksRequest(request_id=fresh(), **named)
    await scenario.change(admin, "RevokeCalendarLinks", revoke, f"resource/{made.resource.resource_id}")


async def book(scenario: Scenario) -> None:
    """Bookings, from the first to the last."""
    admin = scenario.admin
    resource_id = await made(admin)
    leased = await scenario.change(admin, "Book", ask(resource_id, at=ahead(), lease_seconds=600), _ONE)
    booking_id = leased.booking.booking_id
    await scenario.change(admin, "Confirm", pb.ConfirmRequest(request_id=fresh(), booking_id=booking_id), _ONE)
    later = pb.RescheduleRequest(request_id=fresh(), booking_id=booking_id, start_time=timestamp(ahead(8)))
    await scenario.change(admin, "Reschedule", later, _ONE)
    await scenario.change(admin, "Cancel", pb.CancelRequest(request_id=fresh(), booking_id=booking_id), _ONE)
    request = series(ask(resource_id, at=ahead(), lease_seconds=600), "FREQ=WEEKLY;COUNT=2")
    answer = await scenario.change(admin, "BookSeries", request, "series/{answer.series_id}")
    whole = {"request_id": fresh(), "series_id": answer.series_id}
    both = f"series/{answer.series_id}"
    await scenario.change(admin, "ConfirmSeries", pb.ConfirmSeriesRequest(**whole), both)
    await scenario.change(admin, "CancelSeries", pb.CancelSeriesRequest(**{**whole, "request_id": fresh()}), both)


async def owned(server: Running, owner: Api) -> Mapping[str, str]:
    """A booking of a room, and a series in it."""
    resource_id = await made(await server.sign_in("admin"))
    booking = await booked(owner, resource_id, at=ahead(), lease_seconds=600)
    answer = await owner.bookings.BookSeries(series(ask(resource_id, at=ahead(8)), "FREQ=DAILY;COUNT=2"))
    return {"customer": str(owner.account_id), "booking": booking.booking_id, "series": answer.series_id}


async def state(owner: Api, ids: Mapping[str, str]) -> object:
    """The booking and the series as they are."""
    of_series = await owner.bookings.ListBookings(pb.ListBookingsRequest(series_id=ids["series"]))
    return raw(await found(owner, ids["booking"])), raw(of_series)


async def secret_answers(_server: Running, admin: Api) -> Sequence[Message]:
    request = pb.CreateCalendarLinkRequest(request_id=fresh(), resource_id=await made(admin))
    return [await admin.bookings.CreateCalendarLink(request)]


_RESOURCES = (
    "resources are nobody's own: who may read or book one may do so with all",
    (
        ("UpdateResource", "resource.resource_id"),
        ("GetResource", "resource_id"),
        ("FindAvailability", "choices.resource_ids"),
        ("CheckSlots", "choices.resource_ids"),
        ("Book", "choices.resource_ids"),
        ("BookSeries", "first.choices.resource_ids"),
        ("ListBookings", "resource_id"),
        ("WatchBookings", "resource_id"),
        ("CreateCalendarLink", "resource_id"),
        ("RevokeCalendarLinks", "resource_id"),
    ),
)

ROWS = ContractRows(
    changes=(keep_resources, book),
    everyones={
        **{(f"BookingService/{name}", path): _RESOURCES[0] for name, path in _RESOURCES[1]},
        (
            "BookingService/ListBookings",
            "series_id",
        ): "it chooses from what the caller may see, and nothing is looked up",
    },
    own={
        ("BookingService/Book", "customer_id"): "customer",
        ("BookingService/BookSeries", "first.customer_id"): "customer",
        ("BookingService/ListBookings", "customer_id"): "customer",
        ("BookingService/WatchBookings", "customer_id"): "customer",
        ("BookingService/Confirm", "booking_id"): "booking",
        ("BookingService/ConfirmSeries", "series_id"): "series",
        ("BookingService/Reschedule", "booking_id"): "booking",
        ("BookingService/Cancel", "booking_id"): "booking",
        ("BookingService/CancelSeries", "series_id"): "series",
        ("BookingService/GetBooking", "booking_id"): "booking",
    },
    permissions=("bookings.browse", "bookings.book", "bookings.read"),
    owned=owned,
    state=state,
    shows_secrets=frozenset({"BookingService/CreateCalendarLink"}),
    secret_answers=secret_answers,
)
