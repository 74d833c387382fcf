"""Booking over the wire: what is booked, what is refused, and what repeating does."""

from datetime import timedelta

import pytest

from backroom.bookings.v1 import booking_service_pb2 as pb
from backroom.bookings.v1 import bookings_pb2
from server.frame.wire import time_of, timestamp
from tests.bookings.calling import ahead, all_of, any_of, ask, booked, found, made, series, slots
from tests.fixtures.servers import Api, Running, refusal


async def test_a_booking_is_answered_as_it_is_kept(service: Api) -> None:
    """With its instants, its local time and its zone."""
    room = await made(service, time_zone="Europe/Berlin")
    local = ahead().strftime("%Y-%m-%dT09:00")
    booking = await booked(service, room, at=local, minutes=90, title="Checkup", customer_id="17850")
    assert booking == await found(service, booking.booking_id)
    assert (booking.local_start, booking.time_zone) == (local, "Europe/Berlin")
    assert booking.end_time.ToDatetime() - booking.start_time.ToDatetime() == timedelta(minutes=90)
    assert (booking.customer_id, booking.title, list(booking.resource_ids)) == ("17850", "Checkup", [room])
    assert (booking.state, booking.seats, booking.version) == (bookings_pb2.BOOKING_STATE_CONFIRMED, 1, 1)


async def test_a_time_that_is_booked_cannot_be_booked_again(service: Api) -> None:
    """Nor can one that overlaps it; what begins as it ends can."""
    room = await made(service)
    await booked(service, room, at=ahead())
    for begin in (ahead(), ahead(minute=45), ahead(hour=8, minute=15)):
        refused = await refusal(service.bookings.Book(ask(room, at=begin)))
        assert (refused.reason, refused.metadata) == ("ALREADY_BOOKED", {"resource_id": room})
    await booked(service, room, at=ahead(hour=10))
    await booked(service, room, at=ahead(hour=8))


async def test_several_resources_are_booked_together_or_not_at_all(service: Api) -> None:
    """Where one of them is taken, the others stay free."""
    one, other = await made(service), await made(service)
    await booked(service, other, at=ahead())
    assert (await refusal(service.bookings.Book(ask(one, other, at=ahead())))).reason == "ALREADY_BOOKED"
    assert (await booked(service, one, at=ahead())).resource_ids == [one]
    both = await booked(service, one, other, at=ahead(hour=12))
    assert both.resource_ids == [one, other]


async def test_of_several_that_would_do_each_has_its_turn(service: Api) -> None:
    """The one that was chosen the longest ago is taken; once all are taken, none is left."""
    rooms = sorted([await made(service) for _ in range(3)])
    days = [await booked(service, at=ahead(day), choices=any_of(*rooms)) for day in range(3, 9)]
    assert [booking.resource_ids[0] for booking in days] == rooms * 2
    for _ in rooms:
        await booked(service, at=ahead(20), choices=any_of(*rooms))
    refused = await refusal(service.bookings.Book(ask(at=ahead(20), choices=any_of(*rooms))))
    assert refused.reason == "ALREADY_BOOKED"


async def test_a_lease_keeps_its_time_until_it_is_confirmed(service: Api) -> None:
    room = await made(service)
    pending = await booked(service, room, at=ahead(), lease_seconds=600)
    assert pending.state == bookings_pb2.BOOKING_STATE_PENDING
    assert pending.lease_end_time.ToDatetime() > pending.create_time.ToDatetime()
    assert (await refusal(service.bookings.Book(ask(room, at=ahead())))).reason == "ALREADY_BOOKED"
    confirmed = (await service.bookings.Confirm(pb.ConfirmRequest(booking_id=pending.booking_id))).booking
    assert (confirmed.state, confirmed.version) == (bookings_pb2.BOOKING_STATE_CONFIRMED, 2)
    assert not confirmed.HasField("lease_end_time")
    again = await refusal(service.bookings.Confirm(pb.ConfirmRequest(booking_id=pending.booking_id)))
    assert again.reason == "BOOKING_STATE_CONFLICT"


async def test_a_booking_is_moved_in_one_step(service: Api) -> None:
    """Also to a time that overlaps its own; where the new time is taken, it keeps the old one."""
    room = await made(service)
    mine, other = await booked(service, room, at=ahead()), await booked(service, room, at=ahead(hour=11))
    later = pb.RescheduleRequest(booking_id=mine.booking_id, start_time=timestamp(ahead(hour=9, minute=30)))
    moved = (await service.bookings.Reschedule(later)).booking
    assert moved.start_time.ToDatetime() - mine.start_time.ToDatetime() == timedelta(minutes=30)
    assert moved.end_time.ToDatetime() - mine.end_time.ToDatetime() == timedelta(minutes=30)
    taken = pb.RescheduleRequest(booking_id=mine.booking_id, start_time=other.start_time)
    assert (await refusal(service.bookings.Reschedule(taken))).reason == "ALREADY_BOOKED"
    assert await found(service, mine.booking_id) == moved
    await booked(service, room, at=ahead(hour=8, minute=30))


async def test_what_is_canceled_is_free_again(service: Api) -> None:
    room = await made(service)
    mine = await booked(service, room, at=ahead())
    canceled = (await service.bookings.Cancel(pb.CancelRequest(booking_id=mine.booking_id, reason="ill"))).booking
    assert (canceled.state, canceled.cancel_reason) == (bookings_pb2.BOOKING_STATE_CANCELED, "ill")
    await booked(service, room, at=ahead())
    again = await refusal(service.bookings.Cancel(pb.CancelRequest(booking_id=mine.booking_id)))
    assert again.reason == "BOOKING_STATE_CONFLICT"


async def test_customers_change_no_booking_past_its_cutoff(server: Running, service: Api) -> None:
    """Those who may ignore it can."""
    room, customer = await made(service, cancel_cutoff_minutes=10 * 24 * 60), await server.sign_in("customer")
    mine = await booked(customer, room, at=ahead(7))
    cancel = pb.CancelRequest(booking_id=mine.booking_id)
    assert (await refusal(customer.bookings.Cancel(cancel))).reason == "CUTOFF_PASSED"
    later = pb.RescheduleRequest(booking_id=mine.booking_id, start_time=timestamp(ahead(20)))
    assert (await refusal(customer.bookings.Reschedule(later))).reason == "CUTOFF_PASSED"
    assert (await service.bookings.Reschedule(later)).booking.version == 2
    await customer.bookings.Cancel(cancel)


async def test_a_series_books_all_or_none(service: Api) -> None:
    """Each occurrence that cannot be booked is named."""
    room = await made(service)
    await booked(service, room, at=ahead(8))
    request = series(ask(room, at=ahead(7)), "FREQ=DAILY;COUNT=3")
    refused = await refusal(service.bookings.BookSeries(request))
    assert (refused.reason, list(refused.preconditions)) == ("NOTHING_FITS", [ahead(8).isoformat()])
    await booked(service, room, at=ahead(7))


async def test_a_series_books_those_that_fit(service: Api) -> None:
    """The others are answered with why they do not; excluded ones are none."""
    room = await made(service)
    await booked(service, room, at=ahead(8))
    out = ahead(9).strftime("%Y-%m-%dT%H:%M")
    request = series(ask(room, at=ahead(7)), "FREQ=DAILY;COUNT=4", all_or_none=False, excluded=[out])
    answer = await service.bookings.BookSeries(request)
    assert [time_of(each.start_time) for each in answer.bookings] == [ahead(7), ahead(10)]
    assert {each.series_id for each in answer.bookings} == {answer.series_id}
    assert [time_of(each.start_time) for each in answer.skipped] == [ahead(8)]
    assert await service.bookings.BookSeries(request) == answer
    canceled = await service.bookings.CancelSeries(pb.CancelSeriesRequest(series_id=answer.series_id))
    assert [each.booking_id for each in canceled.bookings] == [each.booking_id for each in answer.bookings]


async def test_a_leased_series_is_confirmed_as_one(service: Api) -> None:
    room = await made(service)
    answer = await service.bookings.BookSeries(series(ask(room, at=ahead(), lease_seconds=600), "FREQ=WEEKLY;COUNT=2"))
    confirmed = await service.bookings.ConfirmSeries(pb.ConfirmSeriesRequest(series_id=answer.series_id))
    assert [each.state for each in confirmed.bookings] == [bookings_pb2.BOOKING_STATE_CONFIRMED] * 2


@pytest.mark.parametrize(
    ("rule", "field"),
    [("FREQ=SECONDLY;COUNT=3", "recurrence.rule"), ("FREQ=DAILY", "recurrence.rule"), ("?", "recurrence.rule")],
)
async def test_a_rule_that_cannot_be_followed_is_refused(service: Api, rule: str, field: str) -> None:
    room = await made(service)
    refused = await refusal(service.bookings.BookSeries(series(ask(room, at=ahead()), rule)))
    assert (refused.reason, [*refused.fields]) == ("FIELD_INVALID", [field])


async def test_seats_are_booked_until_none_is_left(service: Api) -> None:
    """Whatever places those have that are there: they trade them where that makes room."""
    room = await made(service, capacity=2)
    first = await booked(service, room, at=ahead(hour=9), minutes=60)
    await booked(service, room, at=ahead(hour=9, minute=30), minutes=60)
    await service.bookings.Cancel(pb.CancelRequest(booking_id=first.booking_id))
    await booked(service, room, at=ahead(hour=10, minute=30), minutes=60)
    assert ahead(hour=9, minute=30) in await slots(service, room, begin=ahead(hour=9), end=ahead(hour=12), minutes=120)
    await booked(service, room, at=ahead(hour=9, minute=30), minutes=120)
    assert (await refusal(service.bookings.Book(ask(room, at=ahead(hour=10))))).reason == "ALREADY_BOOKED"
    assert (await refusal(service.bookings.Book(ask(room, at=ahead(20), seats=3)))).reason == "TOO_MANY_SEATS"


async def test_a_repeated_request_gets_its_first_answer(service: Api) -> None:
    """Whatever has become of the booking since."""
    room = await made(service)
    request = ask(room, at=ahead())
    answer = await service.bookings.Book(request)
    await service.bookings.Cancel(pb.CancelRequest(booking_id=answer.booking.booking_id))
    assert await service.bookings.Book(request) == answer


async def test_many_times_are_checked_at_once(service: Api) -> None:
    room = await made(service)
    await booked(service, room, at=ahead())
    times = [bookings_pb2.SlotToCheck(start_time=timestamp(at), duration_minutes=60) for at in (ahead(), ahead(8))]
    answer = await service.bookings.CheckSlots(pb.CheckSlotsRequest(choices=all_of(room), slots=times))
    assert [each.bookable for each in answer.slots] == [False, True]
    assert "Another booking" in answer.slots[0].refusal.message


async def test_bookings_are_listed_by_when_they_begin(service: Api) -> None:
    """Of one resource, too, whatever their state."""
    room, other = await made(service), await made(service)
    late, early = await booked(service, room, at=ahead(9)), await booked(service, room, at=ahead(8))
    await booked(service, other, at=ahead(8))
    await service.bookings.Cancel(pb.CancelRequest(booking_id=late.booking_id))
    request = pb.ListBookingsRequest(resource_id=room, page_size=1)
    first = await service.bookings.ListBookings(request)
    request.page_token = first.next_page_token
    second = await service.bookings.ListBookings(request)
    assert [each.booking_id for page in (first, second) for each in page.bookings] == [
        early.booking_id,
        late.booking_id,
    ]
    assert not second.next_page_token
    everything = await service.bookings.ListBookings(pb.ListBookingsRequest(start_time=timestamp(ahead(8))))
    assert len(everything.bookings) == 3
