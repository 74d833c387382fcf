from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Double, bindparam, cast, func, or_, select, true, update

from storage.base import Reader, Repository, json_parameter, json_rows
from storage.bookings.records import Busy, BusyWindow, Occupancy, TakenTime
from storage.bookings.tables import occupancies

_WINDOW = ("resource_number", "start_time", "end_time")
_MOVED = ("booking_id", "resource_id", "seat", "place", "start_time", "end_time", "occupied")
COLUMNS = (*_MOVED, "resource_number", "active", "lease_end_time")

_WINDOWS = json_rows(occupancies, *_WINDOW)


def _range_of(number: Any) -> Any:
    return func.int8range(number, number, "[]")


def _seconds(time: Any) -> Any:
    return cast(func.date_part("epoch", time), BigInteger)


_LOWER, _UPPER = func.lower(occupancies.c.occupied), func.upper(occupancies.c.occupied)
# In each window by itself, by the index of the constraint: joined, the planner may go through the whole table.
_IN_WINDOW = (
    occupancies.c.active,
    _range_of(occupancies.c.resource_number).op("&&")(_range_of(_WINDOWS.c.resource_number)),
    occupancies.c.occupied.op("&&")(func.tstzrange(_WINDOWS.c.start_time, _WINDOWS.c.end_time)),
)
_BUSY = (
    select(
        occupancies.c.resource_number,
        occupancies.c.place,
        _seconds(occupancies.c.start_time).label("start"),
        _seconds(occupancies.c.end_time).label("end"),
        _seconds(_LOWER).label("occupied_start"),
        _seconds(_UPPER).label("occupied_end"),
        cast(func.extract("epoch", occupancies.c.lease_end_time), Double).label("lease_end"),
        occupancies.c.booking_id,
        occupancies.c.seat,
    )
    .where(*_IN_WINDOW)
    .lateral("busy")
)
FIND_BUSY = select(*_BUSY.c).join_from(_WINDOWS, _BUSY, true())
"""Each place that is taken in windows; a test reads its plan."""

_LASTING = or_(occupancies.c.lease_end_time.is_(None), occupancies.c.lease_end_time > bindparam("now"))
_GAP = func.make_interval(0, 0, 0, 0, 0, 0, bindparam("gap", type_=Double))
# Each is prolonged by the gap, so that those touch which have no longer one between them; `_JOINED_ENDS` cuts it again.
_JOINED = (
    select(func.unnest(func.range_agg(func.tstzrange(_LOWER, _UPPER + _GAP))).label("occupied"))
    .where(*_IN_WINDOW, _LASTING)
    .lateral("joined")
)
_SHARED = (
    select(
        occupancies.c.start_time,
        occupancies.c.end_time,
        occupancies.c.occupied,
        func.count().label("places"),
    )
    .where(*_IN_WINDOW, _LASTING)
    .group_by(occupancies.c.start_time, occupancies.c.end_time, occupancies.c.occupied)
    .lateral("shared")
)


def _gathered(times: Any, *columns: Any) -> Any:
    """One row for each resource, with an array of each column: a row for each time would be most of the cost."""
    number = _WINDOWS.c.resource_number
    return select(number, *map(func.array_agg, columns)).join_from(_WINDOWS, times, true()).group_by(number)


_JOINED_ENDS = (_seconds(func.lower(_JOINED.c.occupied)), _seconds(func.upper(_JOINED.c.occupied) - _GAP))
_SHARED_ENDS = (_seconds(func.lower(_SHARED.c.occupied)), _seconds(func.upper(_SHARED.c.occupied)))
FIND_TAKEN = _gathered(_JOINED, *_JOINED_ENDS)
"""When the one place of resources is taken in windows; a test reads its plan."""
FIND_TAKEN_PLACES = _gathered(
    _SHARED, _seconds(_SHARED.c.start_time), _seconds(_SHARED.c.end_time), *_SHARED_ENDS, _SHARED.c.places
)
"""How many places of resources are taken in windows, and when; a test reads its plan."""

_THESE = json_rows(occupancies, "booking_id")
_OF_THESE = occupancies.c.booking_id.in_(select(_THESE.c.booking_id))
_RELEASE = update(occupancies).where(_OF_THESE, occupancies.c.active).values(active=False)
_CONFIRM = update(occupancies).where(_OF_THESE).values(lease_end_time=None)
_NEW = json_rows(occupancies, *_MOVED)
_MOVE = (
    update(occupancies)
    .where(
        occupancies.c.booking_id == _NEW.c.booking_id,
        occupancies.c.resource_id == _NEW.c.resource_id,
        occupancies.c.seat == _NEW.c.seat,
    )
    .values({name: _NEW.c[name] for name in _MOVED[3:]})
)
_STARTS = json_rows(occupancies, "booking_id", "start_time")
_LATER = _STARTS.c.start_time - occupancies.c.start_time
_SHIFT = (
    update(occupancies)
    .where(occupancies.c.booking_id == _STARTS.c.booking_id)
    .values(
        start_time=_STARTS.c.start_time,
        end_time=occupancies.c.end_time + _LATER,
        occupied=func.tstzrange(_LOWER + _LATER, _UPPER + _LATER),
    )
)


class OccupancyReader(Reader):
    """Which places are taken, and when."""

    async def find_busy(self, windows: Sequence[BusyWindow]) -> Sequence[Busy]:
        """The places that pending and confirmed bookings take in these windows, their buffers included, in no order.

        Leases that have ended are among them, until they are expired.
        """
        if not windows:
            return []
        values = ((each.resource_number, each.start_time, each.end_time) for each in windows)
        found = await self._connection.execute(FIND_BUSY, json_parameter(_WINDOW, values))
        if len(windows) == 1:
            return list(map(Busy._make, found))
        # What reaches into two windows is found in both.
        return [*{(busy.booking_id, busy.resource_number, busy.seat): busy for busy in map(Busy._make, found)}.values()]

    async def find_taken(
        self, windows: Sequence[BusyWindow], shared: Collection[int], now: datetime, *, gap_seconds: int = 0
    ) -> Mapping[int, Collection[TakenTime]]:
        """When resources are taken in these windows, by their numbers, without the leases that have ended.

        `shared` are the numbers of those that have several places. Of the others, times are joined that have no more
        than a gap of so many seconds between them.
        """
        alone = [each for each in windows if each.resource_number not in shared]
        together = [each for each in windows if each.resource_number in shared]
        taken: dict[int, Collection[TakenTime]] = {}
        for number, begins, ends in await self._gather(FIND_TAKEN, alone, now=now, gap=gap_seconds):
            taken[number] = [*map(TakenTime, begins, ends, begins, ends, repeat(1))]
        for number, *columns in await self._gather(FIND_TAKEN_PLACES, together, now=now):
            # What reaches into two windows is found in both.
            taken[number] = {*map(TakenTime._make, zip(*columns, strict=True))}
        return taken

    async def _gather(self, statement: Any, windows: Sequence[BusyWindow], **values: object) -> Sequence[Any]:
        if not windows:
            return ()
        given = json_parameter(_WINDOW, ((each.resource_number, each.start_time, each.end_time) for each in windows))
        return (await self._connection.execute(statement, {**given, **values})).all()


class OccupancyRepository(OccupancyReader, Repository):
    """The places that bookings take; their resources are locked before any of them changes."""

    async def release(self, booking_ids: Collection[UUID]) -> None:
        """Frees the places of bookings."""
        if booking_ids:
            await self._connection.execute(_RELEASE, _ids(booking_ids))

    async def confirm(self, booking_ids: Collection[UUID]) -> None:
        """Has the places of bookings taken for good."""
        if booking_ids:
            await self._connection.execute(_CONFIRM, _ids(booking_ids))

    async def move(self, moved: Sequence[Occupancy]) -> None:
        """Stores new places and times, all at once: bookings may trade their places.

        Raises AlreadyExists where they would overlap others.
        """
        if moved:
            rows = (row[: len(_MOVED)] for row in rows_of(moved))
            await self._connection.execute(_MOVE, json_parameter(_MOVED, rows))

    async def shift(self, starts: Mapping[UUID, datetime]) -> None:
        """Has bookings begin at other times in the same places, all at once, with their ends and buffers.

        Raises AlreadyExists where they would overlap others.
        """
        if starts:
            await self._connection.execute(_SHIFT, json_parameter(("booking_id", "start_time"), starts.items()))


def _ids(booking_ids: Collection[UUID]) -> dict[str, str]:
    return json_parameter(("booking_id",), ((booking_id,) for booking_id in booking_ids))


def rows_of(new: Sequence[Occupancy]) -> Iterator[tuple[Any, ...]]:
    """In the order of COLUMNS."""
    for each in new:
        occupied = f"[{each.occupied_start.isoformat()},{each.occupied_end.isoformat()})"
        key = (each.booking_id, each.resource_id, each.seat)
        taken = (each.place, each.start_time, each.end_time, occupied)
        yield (*key, *taken, each.resource_number, True, each.lease_end_time)
