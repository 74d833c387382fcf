"""What is offered is what can be booked, over the wire."""

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backroom.bookings.v1 import booking_service_pb2 as pb
from backroom.bookings.v1 import bookings_pb2, resources_pb2
from server.frame.wire import timestamp
from tests.bookings.calling import ahead, all_of, any_of, ask, booked, made, series, slots
from tests.fixtures.servers import Api, Running, refusal

_QUARTER = timedelta(minutes=15)
_CONFIGURED = st.fixed_dictionaries(
    {
        "capacity": st.sampled_from([1, 1, 2]),
        "buffer_before_minutes": st.sampled_from([0, 15, 20]),
        "buffer_after_minutes": st.sampled_from([0, 15, 30]),
        "slot_step_minutes": st.sampled_from([15, 30]),
    }
)
_WINDOW = 24
"""In quarters of an hour."""


@settings(max_examples=4, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(
    configured=_CONFIGURED,
    taken=st.lists(st.tuples(st.integers(-3, _WINDOW), st.integers(1, 4)), max_size=5),
    quarters=st.integers(1, 4),
    seats=st.sampled_from([1, 1, 2]),
)
async def test_each_time_that_is_offered_can_be_booked_alone_and_no_other(
    server: Running, configured: Any, taken: Any, quarters: int, seats: int
) -> None:
    """Buffers that reach in over both edges of the window included."""
    service = await server.sign_in("service")
    weekly = [resources_pb2.OpeningPeriod(day=day, opens="08:00", closes="16:00") for day in range(1, 8)]
    room = await made(service, opening_hours=weekly, **configured)
    begin, minutes = ahead(hour=9), 15 * quarters
    for place, length in taken:
        request = ask(room, at=begin + place * _QUARTER, minutes=15 * length)
        await outcome(service, request)
    end = begin + _WINDOW * _QUARTER
    offered = await slots(service, room, begin=begin, end=end, minutes=minutes, seats=seats)
    candidates = [begin + place * _QUARTER for place in range(_WINDOW - quarters + 1)]
    found = []
    for each in candidates:
        booking_id = await outcome(service, ask(room, at=each, minutes=minutes, seats=seats))
        if booking_id:
            found.append(each)
            await service.bookings.Cancel(pb.CancelRequest(booking_id=booking_id))
    assert offered == found
    server.log.clear()  # hypothesis writes out what an example is given


async def outcome(api: Api, request: pb.BookRequest) -> str:
    """The id of what was booked; empty where nothing was."""
    try:
        booking_id: str = (await api.bookings.Book(request)).booking.booking_id
    except grpc.aio.AioRpcError:
        return ""
    return booking_id


async def test_several_resources_are_offered_when_all_are_free(service: Api) -> None:
    """Or when one of those is that would do."""
    one, other = await made(service, slot_step_minutes=60), await made(service, slot_step_minutes=60)
    await booked(service, one, at=ahead(hour=9))
    await booked(service, other, at=ahead(hour=10))
    window: Any = {"begin": ahead(hour=9), "end": ahead(hour=12)}
    assert await slots(service, one, other, **window) == [ahead(hour=11)]
    every = [ahead(hour=hour) for hour in (9, 10, 11)]
    assert await slots(service, choices=any_of(one, other), **window) == every
    await booked(service, at=ahead(hour=9), choices=any_of(one, other))
    assert await slots(service, choices=any_of(one, other), **window) == every[1:]


async def test_pages_go_on_where_the_last_one_ended(service: Api) -> None:
    """Over a year, as far as can be booked ahead."""
    room = await made(service, slot_step_minutes=720, booking_window_minutes=60 * 1440)
    window: Any = {"begin": ahead(1, hour=0), "end": ahead(300, hour=0)}
    whole = await slots(service, room, **window)
    assert whole == await slots(service, room, **window, page_size=7)
    assert whole == [ahead(1, hour=0) + place * timedelta(hours=12) for place in range(len(whole))]
    assert len(whole) in (118, 119, 120)


@pytest.mark.parametrize("days", [-1, 367])
async def test_a_window_that_is_none_is_refused(service: Api, days: int) -> None:
    """One that ends before it begins, and one of more than 366 days."""
    room = await made(service)
    request = pb.FindAvailabilityRequest(
        choices=all_of(room),
        duration_minutes=60,
        start_time=timestamp(ahead()),
        end_time=timestamp(ahead() + timedelta(days=days)),
    )
    refused = await refusal(service.bookings.FindAvailability(request))
    assert (refused.reason, [*refused.fields]) == ("FIELD_INVALID", ["end_time"])


async def test_a_window_in_any_year_is_answered(service: Api) -> None:
    """With nothing, where nothing can be booked so far ahead."""
    room = await made(service)
    for seconds in (-62_135_596_800, 0, 253_402_300_799):
        request = pb.FindAvailabilityRequest(
            choices=all_of(room),
            duration_minutes=60,
            start_time=Timestamp(seconds=seconds),
            end_time=Timestamp(seconds=seconds),
        )
        assert not (await service.bookings.FindAvailability(request)).slots


async def test_a_search_among_many_resources_ends_each_page_early(service: Api) -> None:
    """Before it is full; the next one goes on from there, so that nothing is left out."""
    rooms = [await made(service, slot_step_minutes=1) for _ in range(20)]
    for room in rooms:
        await booked(service, room, at=ahead(2, hour=0), minutes=31 * 1440)
    request = pb.FindAvailabilityRequest(
        choices=any_of(*rooms),
        duration_minutes=1,
        page_size=1000,
        start_time=timestamp(ahead(1, hour=22)),
        end_time=timestamp(ahead(40, hour=0)),
    )
    found, sizes = list[datetime](), list[int]()
    while len(found) < 1500:
        page = await service.bookings.FindAvailability(request)
        found += [slot.start_time.ToDatetime(UTC) for slot in page.slots]
        sizes.append(len(page.slots))
        request.page_token = page.next_page_token
        assert request.page_token
    minute = timedelta(minutes=1)
    assert found[:120] == [ahead(1, hour=22) + each * minute for each in range(120)]
    assert found[120:] == [ahead(33, hour=0) + each * minute for each in range(len(found) - 120)]
    assert max(sizes) < 1000


async def test_what_one_call_may_have_decided_is_bounded(service: Api) -> None:
    """Times with resources for CheckSlots, and occurrences with resources or with seats for BookSeries."""
    rooms = [await made(service, capacity=1000) for _ in range(21)]
    slot = bookings_pb2.SlotToCheck(start_time=timestamp(ahead()), duration_minutes=60)
    many = [*any_of(*rooms[:20]), *any_of(rooms[20])]
    request = pb.CheckSlotsRequest(choices=many, slots=[slot] * 191)
    refused = await refusal(service.bookings.CheckSlots(request))
    assert refused.fields == {"slots": "must be at most 190 where so many resources are named"}
    del request.slots[190:]
    assert len((await service.bookings.CheckSlots(request)).slots) == 190

    for first, most in ((ask(rooms[0], at=ahead(), seats=1000), 4), (ask(at=ahead(), choices=many), 190)):
        refused = await refusal(service.bookings.BookSeries(series(first, f"FREQ=DAILY;COUNT={most + 1}")))
        assert [*refused.fields] == ["recurrence.rule"]
        assert f"has more than {most} occurrences" in refused.fields["recurrence.rule"]
    one = ask(rooms[0], at=ahead(), seats=1000)
    assert len((await service.bookings.BookSeries(series(one, "FREQ=DAILY;COUNT=4"))).bookings) == 4


async def test_bookings_of_a_customer_at_a_resource_are_listed(service: Api) -> None:
    """And those of a series there, by when they begin; others are not."""
    room, other = await made(service), await made(service)
    mine = [await booked(service, room, at=ahead(hour=hour), customer_id="17850") for hour in (11, 9)]
    await booked(service, other, at=ahead(hour=9), customer_id="17850")
    await booked(service, room, at=ahead(hour=13), customer_id="12345")
    daily = await service.bookings.BookSeries(series(ask(room, other, at=ahead(8)), "FREQ=DAILY;COUNT=2"))
    for wanted, expected in (
        ({"customer_id": "17850"}, [each.booking_id for each in mine[::-1]]),
        ({"series_id": daily.series_id}, [each.booking_id for each in daily.bookings]),
    ):
        request = pb.ListBookingsRequest(resource_id=room, page_size=1, **wanted)
        first = await service.bookings.ListBookings(request)
        request.page_token = first.next_page_token
        second = await service.bookings.ListBookings(request)
        assert [each.booking_id for each in (*first.bookings, *second.bookings)] == expected
        assert second.next_page_token == ""
