"""Who may book, see and change what; and what a customer may keep from others."""

import asyncio

import pytest

from backroom.bookings.v1 import booking_service_pb2 as pb
from backroom.bookings.v1 import bookings_pb2, resources_pb2
from server.frame.wire import timestamp
from storage.database import Database
from tests.bookings.calling import ahead, ask, booked, made, room
from tests.fixtures.servers import Api, Running, quick_passwords, refusal, running


async def test_a_customer_books_for_itself_alone(service: Api, customer: Api) -> None:
    resource = await made(service)
    refused = await refusal(customer.bookings.Book(ask(resource, at=ahead(), customer_id="17850")))
    assert (refused.reason, refused.metadata) == ("CUSTOMER_NOT_PERMITTED", {"permission": "bookings.book_for"})
    mine = await booked(customer, resource, at=ahead())
    assert mine.customer_id == mine.booked_by == str(customer.account_id)


async def test_a_customer_sees_its_own_bookings(server: Running, service: Api, customer: Api) -> None:
    """Those that were made for it, too; another's are answered as none."""
    resource, other = await made(service), await server.sign_in("customer")
    given = await booked(service, resource, at=ahead(), customer_id=str(customer.account_id))
    await booked(other, resource, at=ahead(8))
    listed = await customer.bookings.ListBookings(pb.ListBookingsRequest())
    assert [each.booking_id for each in listed.bookings] == [given.booking_id]
    for call in (
        other.bookings.GetBooking(pb.GetBookingRequest(booking_id=given.booking_id)),
        other.bookings.Cancel(pb.CancelRequest(booking_id=given.booking_id)),
        other.bookings.Reschedule(pb.RescheduleRequest(booking_id=given.booking_id, start_time=timestamp(ahead(20)))),
    ):
        assert (await refusal(call)).reason == "BOOKING_NOT_FOUND"
    refused = await refusal(other.bookings.ListBookings(pb.ListBookingsRequest(customer_id=str(customer.account_id))))
    assert refused.reason == "CUSTOMER_NOT_PERMITTED"


async def test_a_customer_leases_no_longer_than_the_default(service: Api, customer: Api) -> None:
    resource = await made(service)
    refused = await refusal(customer.bookings.Book(ask(resource, at=ahead(), lease_seconds=901)))
    assert (refused.reason, refused.metadata["longest_seconds"]) == ("LEASE_TOO_LONG", "900")
    await booked(customer, resource, at=ahead(), lease_seconds=900)
    await booked(service, resource, at=ahead(8), lease_seconds=901)


async def test_a_customer_books_no_more_ahead_than_the_limit(database: Database) -> None:
    """What it cancels counts no more; others have limits of their own."""
    async with running(database, passwords=quick_passwords(), max_bookings_ahead=2) as server:
        service, customer = await server.sign_in("service"), await server.sign_in("customer")
        resource = await made(service)
        first = await booked(customer, resource, at=ahead(7))
        await booked(customer, resource, at=ahead(8))
        refused = await refusal(customer.bookings.Book(ask(resource, at=ahead(9))))
        assert (refused.reason, refused.metadata) == ("TOO_MANY_BOOKINGS_AHEAD", {"bookings": "3", "most": "2"})
        await customer.bookings.Cancel(pb.CancelRequest(booking_id=first.booking_id))
        await booked(customer, resource, at=ahead(9))
        for day in (10, 11, 12):
            await booked(service, resource, at=ahead(day))


async def test_a_watch_tells_each_change_to_those_whom_it_concerns(server: Running, service: Api) -> None:
    """As the booking was after it, in the order in which they happened; of one resource where that is asked for."""
    resource, other, customer = await made(service), await made(service), await server.sign_in("customer")
    all_of_it = service.bookings.WatchBookings(pb.WatchBookingsRequest(resource_id=resource))
    mine = customer.bookings.WatchBookings(pb.WatchBookingsRequest())
    for call in (all_of_it, mine):
        assert not (await asyncio.wait_for(call.read(), 20)).HasField("booking")
    await booked(service, other, at=ahead())
    leased = await booked(customer, resource, at=ahead(), lease_seconds=600)
    confirmed = (await customer.bookings.Confirm(pb.ConfirmRequest(booking_id=leased.booking_id))).booking
    later = pb.RescheduleRequest(booking_id=leased.booking_id, start_time=timestamp(ahead(8)))
    moved = (await customer.bookings.Reschedule(later)).booking
    canceled = (await customer.bookings.Cancel(pb.CancelRequest(booking_id=leased.booking_id))).booking
    for call in (all_of_it, mine):
        found = [(await asyncio.wait_for(call.read(), 20)).booking for _ in range(4)]
        assert found == [leased, confirmed, moved, canceled]


async def test_a_resource_is_changed_by_those_who_keep_resources(service: Api, customer: Api) -> None:
    """Field by field, unless somebody else was faster; what is wrong with its hours is named by its path."""
    refused = await refusal(customer.bookings.CreateResource(pb.CreateResourceRequest(resource=room())))
    assert refused.reason == "PERMISSION_MISSING"
    answer = await service.bookings.CreateResource(pb.CreateResourceRequest(resource=room(capacity=0)))
    kept = answer.resource
    assert (kept.capacity, kept.slot_step_minutes, kept.booking_window_minutes) == (1, 15, 366 * 1440)
    assert kept == (await customer.bookings.GetResource(pb.GetResourceRequest(resource_id=kept.resource_id))).resource
    change = resources_pb2.Resource(resource_id=kept.resource_id, capacity=5, etag=kept.etag)
    changed = (await service.bookings.UpdateResource(pb.UpdateResourceRequest(resource=change))).resource
    assert (changed.capacity, changed.name, changed.opening_hours) == (5, kept.name, kept.opening_hours)
    again = await refusal(service.bookings.UpdateResource(pb.UpdateResourceRequest(resource=change)))
    assert again.reason == "ETAG_MISMATCH"


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"time_zone": "Europe/Atlantis"}, "resource.time_zone"),
        ({"holidays": [resources_pb2.Holiday(date="2026-02-30")]}, "resource.holidays[0].date"),
        ({"holidays": [resources_pb2.Holiday(date="13-01")]}, "resource.holidays[0].date"),
        (
            {"opening_hours": [resources_pb2.OpeningPeriod(day=1, opens="9:00", closes="17:00")]},
            "resource.opening_hours[0].opens",
        ),
        (
            {"opening_hours": [resources_pb2.OpeningPeriod(day=1, opens="17:00", closes="09:00")]},
            "resource.opening_hours[0].closes",
        ),
        (
            {"exceptions": [resources_pb2.OpeningException(date="2026-12-24")] * 2},
            "resource.exceptions",
        ),
    ],
)
async def test_hours_that_cannot_be_are_refused(service: Api, wrong: dict[str, object], path: str) -> None:
    request = pb.CreateResourceRequest(resource=room(**wrong))
    refused = await refusal(service.bookings.CreateResource(request))
    assert (refused.reason, [*refused.fields]) == ("FIELD_INVALID", [path])


async def test_an_archived_resource_takes_no_more_bookings(service: Api) -> None:
    """Those that it has can be confirmed and canceled."""
    resource = await made(service)
    leased = await booked(service, resource, at=ahead(), lease_seconds=600)
    archive = resources_pb2.Resource(resource_id=resource, archived=True)
    await service.bookings.UpdateResource(pb.UpdateResourceRequest(resource=archive))
    assert (await refusal(service.bookings.Book(ask(resource, at=ahead(8))))).reason == "RESOURCE_ARCHIVED"
    confirmed = (await service.bookings.Confirm(pb.ConfirmRequest(booking_id=leased.booking_id))).booking
    assert confirmed.state == bookings_pb2.BOOKING_STATE_CONFIRMED
    await service.bookings.Cancel(pb.CancelRequest(booking_id=leased.booking_id))
    assert not (await service.bookings.ListResources(pb.ListResourcesRequest())).resources
    shown = await service.bookings.ListResources(pb.ListResourcesRequest(include_archived=True))
    assert [each.resource_id for each in shown.resources] == [resource]
