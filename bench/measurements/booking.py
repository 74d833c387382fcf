"""Bookings: a crowd books, and the free times of a year are found."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp

from backroom.bookings.v1.booking_service_pb2 import BookRequest, FindAvailabilityRequest
from backroom.bookings.v1.bookings_pb2 import ResourceChoice
from backroom.bookings.v1.resources_pb2 import OpeningPeriod, Resource
from backroom_client import AsyncBackroom, Key
from backroom_client.concurrently import concurrently
from bench.measurements.booking_sides import created, our_bookings, usual_bookings
from bench.measurements.sides import CALLERS, calling, usual_rows
from bench.rounds import POSTGRES, SERVER, meters, rounds
from bench.row import LIMIT, Row, row
from bench.setting import Backroom, Bench
from load.order_requests import Unexpected

_HOT, _MANY = 1, 1000
_DAYS, _SLOTS = 365, 16
"""Of each day: from 9 to 17 o'clock, every half an hour."""
_BOOKED = 5000
_MAX_MS = 20.0
_FIND = "BookingService/FindAvailability"


async def booking(bench: Bench) -> list[Row]:
    """All callers book one resource, and then 1,000 of them in turn."""
    found: list[Row] = []
    for name, resources, over in (("booking", _HOT, "one hot resource"), ("booking_many", _MANY, "1,000 resources")):
        async with (
            our_bookings(bench, name, resources) as ours,
            usual_bookings(bench, f"{name}_usual", resources) as usual,
        ):
            backroom = calling(bench, "Backroom", ours.book, ours.pid)
            stack = calling(bench, "the usual stack (ORM)", usual.book, usual.pid)
            await rounds(bench, backroom, stack)
        measured = f"Book, {over}, {CALLERS} callers"
        found += usual_rows(measured, "bookings/s", backroom, stack)
    return found


async def finding_times(bench: Bench) -> list[Row]:
    """One caller finds all free times of a year, of a resource with 5,000 bookings."""
    async with bench.backroom(bench.database("finding_times")) as server:
        await _find(bench, server)
        taken = _durations(server.log)
    measured = f"FindAvailability, a year of a resource with {_BOOKED:,} bookings, in the server"
    figures = [(median(taken), _MAX_MS)]
    return [row(measured, "ms", figures, against=LIMIT, goal=1, lower_is_better=True)]


async def _find(bench: Bench, server: Backroom) -> None:
    """Books, and finds again and again what is left."""
    weekly = [OpeningPeriod(day=day, opens="09:00", closes="17:00") for day in range(1, 8)]
    (resource_id,) = await created(
        server, Resource(name="Bench", time_zone="UTC", opening_hours=weekly, slot_step_minutes=30), 1
    )
    begin = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    choices = [ResourceChoice(resource_ids=[resource_id])]
    async with AsyncBackroom(server.address, Key(server.api_key)) as backroom:

        async def book(start: datetime) -> None:
            start_time = Timestamp(seconds=int(start.timestamp()))
            request = BookRequest(
                request_id=str(uuid4()),
                choices=choices,
                start_time=start_time,
                duration_minutes=30,
                customer_id="bench",
            )
            await backroom.bookings.Book(request)

        await concurrently(book, _taken(begin), at_once=CALLERS)
        await bench.rest()
        request = FindAvailabilityRequest(
            page_size=1000,
            choices=choices,
            duration_minutes=30,
            start_time=Timestamp(seconds=int(begin.timestamp())),
            end_time=Timestamp(seconds=int((begin + timedelta(days=_DAYS)).timestamp())),
        )
        metered = meters(bench, server.pid)
        before, count = {name: meter() for name, meter in metered.items()}, 20 * bench.rounds
        waited = [await _timed(backroom, request) for _ in range(count)]
        server_ms, postgres_ms = ((metered[name]() - before[name]) / count * 1e3 for name in (SERVER, POSTGRES))
        cpu = f"CPU of a search: the server's {server_ms:.1f} ms, PostgreSQL's {postgres_ms:.1f} ms"
        bench.say(f"  {cpu}; its caller waited for {median(waited):.1f} ms")


async def _timed(backroom: AsyncBackroom, request: FindAvailabilityRequest) -> float:
    """How long a caller waits for all free times, in milliseconds."""
    begun = perf_counter()
    answer = await backroom.bookings.FindAvailability(request)
    waited = (perf_counter() - begun) * 1e3
    if len(answer.slots) != _DAYS * _SLOTS - _BOOKED:
        raise Unexpected(f"{len(answer.slots):,} times are free, and should be {_DAYS * _SLOTS - _BOOKED:,}")
    return waited


def _taken(begin: datetime) -> Sequence[datetime]:
    """So many of the year's times, spread over it evenly."""
    whole = _DAYS * _SLOTS
    places = [each * whole // _BOOKED for each in range(_BOOKED)]
    days = (divmod(place, _SLOTS) for place in places)
    return [begin + timedelta(days=day, hours=9, minutes=30 * slot) for day, slot in days]


def _durations(log: Path) -> Sequence[float]:
    """How long the server took for each search, in milliseconds, by its log."""
    lines = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
    return [line["duration_ms"] for line in lines if str(line.get("method", "")).endswith(_FIND)]
