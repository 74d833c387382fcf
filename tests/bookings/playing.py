"""Random bookings from many callers at once, beside a plain account of what may be refused."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import psycopg
from hypothesis import strategies as st

from backroom.bookings.v1 import booking_service_pb2 as pb
from backroom.bookings.v1 import bookings_pb2
from server.frame.wire import timestamp
from storage.bookings.laws import LAWS
from tests.bookings.calling import ahead, ask, made, series
from tests.fixtures.servers import Api, refused

STEP = timedelta(minutes=30)
_DAY = 48
"""In steps."""
_ROOMS: Sequence[tuple[int, int]] = ((1, 0), (1, 30), (3, 0))
"""Of each resource, its capacity, and its buffer after each booking in minutes."""

Span = tuple[int, datetime, datetime, int]
"""A room, from when until when it is taken, its buffer included, and by how many seats."""

_ROOM_ORDERS = st.permutations(range(len(_ROOMS))).flatmap(
    lambda order: st.integers(1, len(order)).map(lambda count: order[:count])
)
_TIME = st.integers(0, 2 * _DAY)
_LENGTH = st.sampled_from([1, 2, 3])
OPERATIONS = st.one_of(
    st.tuples(st.just("book"), _ROOM_ORDERS, _TIME, _LENGTH, st.booleans()),
    st.tuples(st.just("series"), _ROOM_ORDERS, _TIME, _LENGTH, st.booleans()),
    st.tuples(st.just("move"), st.integers(0, 1000), _TIME),
    st.tuples(st.sampled_from(["confirm", "cancel"]), st.integers(0, 1000)),
)
"""What one caller does; a number stands for one of the bookings that there are by then."""

_ACTIVE = (bookings_pb2.BOOKING_STATE_PENDING, bookings_pb2.BOOKING_STATE_CONFIRMED)
_ENDED_MEANWHILE = {"BOOKING_STATE_CONFLICT"}
_FULL = {"ALREADY_BOOKED", "NOTHING_FITS"}


@dataclass
class Play:
    """Callers who book three rooms, and all that they were answered."""

    apis: Sequence[Api]
    rooms: Sequence[str]
    bookings: dict[str, bookings_pb2.Booking] = field(default_factory=dict)
    """As they were answered last, by their ids."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """How often each kind of operation ended in which way."""

    @classmethod
    async def begun(cls, apis: Sequence[Api]) -> "Play":
        rooms = [
            await made(apis[0], capacity=capacity, buffer_after_minutes=after, slot_step_minutes=30)
            for capacity, after in _ROOMS
        ]
        return cls(apis, rooms)

    async def round(self, operations: Sequence[Any]) -> None:
        """Has each caller do one of these, all at once; what is refused must not have fitted, whoever came first."""
        before = [span for booking in self._active() for span in self._spans(booking)]
        doing = [self._do(api, operation) for api, operation in zip(self.apis, operations, strict=False)]
        outcomes = await asyncio.gather(*doing)
        for (what, *_), (_, answered) in zip(operations, outcomes, strict=False):
            self.outcomes[
                f"{what}: {answered if isinstance(answered, str) else 'done' if answered else 'no call'}"
            ] += 1
        new = [booking for _, answered in outcomes if not isinstance(answered, str) for booking in answered]
        possible = [*before, *(span for booking in new for span in self._spans(booking))]
        for wanted, answered in outcomes:
            if not isinstance(answered, str):
                continue
            if answered in _FULL:
                assert any(self._taken(each, possible) for each in wanted), f"{wanted} would have fitted"
            else:
                assert answered in _ENDED_MEANWHILE, answered
        for booking in new:
            known = self.bookings.get(booking.booking_id)
            if known is None or known.version < booking.version:
                self.bookings[booking.booking_id] = booking

    def _active(self) -> Sequence[bookings_pb2.Booking]:
        return [booking for booking in self.bookings.values() if booking.state in _ACTIVE]

    async def _do(self, api: Api, operation: Any) -> tuple[Sequence[Span], Sequence[bookings_pb2.Booking] | str]:
        """What was wanted, and the bookings that came of it, or why none did."""
        wanted, call = self._call(api, operation)
        if call is None:
            return (), ()
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            return wanted, refused(error).reason
        return wanted, getattr(answer, "bookings", None) or [answer.booking]

    def _call(self, api: Api, operation: Any) -> tuple[Sequence[Span], Any]:
        what, *rest = operation
        if what in ("book", "series"):
            order, place, length, flag = rest
            return self._making(api, what, order, ahead() + place * STEP, length * STEP, flag=flag)
        active = self._active()
        if not active:
            return (), None
        booking = active[rest[0] % len(active)]
        if what == "move":
            begin = ahead() + rest[1] * STEP
            moving = pb.RescheduleRequest(
                request_id=str(uuid4()), booking_id=booking.booking_id, start_time=timestamp(begin)
            )
            length = booking.end_time.ToDatetime() - booking.start_time.ToDatetime()
            return self._wanted(map(self.rooms.index, booking.resource_ids), begin, length), api.bookings.Reschedule(
                moving
            )
        if what == "confirm":
            return (), api.bookings.Confirm(pb.ConfirmRequest(booking_id=booking.booking_id))
        return (), api.bookings.Cancel(pb.CancelRequest(booking_id=booking.booking_id))

    def _making(
        self, api: Api, what: str, order: Sequence[int], begin: datetime, length: timedelta, *, flag: bool
    ) -> tuple[Sequence[Span], Any]:
        rooms = [self.rooms[place] for place in order]
        request = ask(*rooms, at=begin, minutes=length // timedelta(minutes=1), lease_seconds=600 * flag)
        if what == "book":
            return self._wanted(order, begin, length), api.bookings.Book(request)
        times = [begin + timedelta(days=day) for day in range(3)]
        wanted = [span for each in times for span in self._wanted(order, each, length)]
        return wanted, api.bookings.BookSeries(series(request, "FREQ=DAILY;COUNT=3", all_or_none=flag))

    def _wanted(self, places: Any, begin: datetime, length: timedelta) -> Sequence[Span]:
        return [(place, begin, begin + length + timedelta(minutes=_ROOMS[place][1]), 1) for place in places]

    def _spans(self, booking: bookings_pb2.Booking) -> Sequence[Span]:
        begin, end = booking.start_time.ToDatetime(UTC), booking.end_time.ToDatetime(UTC)
        return self._wanted(map(self.rooms.index, booking.resource_ids), begin, end - begin)

    def _taken(self, wanted: Span, possible: Collection[Span]) -> bool:
        """Whether so many of these could have the room at one moment that none is left."""
        room, begin, end, _ = wanted
        overlapping = [each for each in possible if each[0] == room and each[1] < end and begin < each[2]]
        moments = {begin, *(each[1] for each in overlapping if each[1] > begin)}
        most = max(sum(each[1] <= moment < each[2] for each in overlapping) for moment in moments)
        return most >= _ROOMS[room][0]


def broken_laws(database_url: str) -> dict[str, object]:
    """What of the laws of bookings does not hold, found by SQL."""
    with psycopg.connect(database_url) as connection:
        found = {law.text: connection.execute(law.broken.encode()).fetchall() for law in LAWS}
    return {law: rows for law, rows in found.items() if rows}
