"""When a resource is open: periods of local time, and the instants that they are on a day, whatever the clocks do."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from server.frame.errors import FieldInvalid
from server.frame.local_time import clock_changes, time_zone
from storage.bookings.records import DayPeriod, Resource

MINUTE = 60
"""In seconds."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
_DAY_SECONDS = 24 * 60 * MINUTE
_DAYS_AHEAD = 8
"""Within which something that opens each week does so."""


class Opening(NamedTuple):
    """A period of one day in which a resource is open; all times are in seconds since 1970."""

    begins: int
    ends: int
    starts: Sequence[int]
    """When bookings can begin, in order."""

    def next_start(self, moment: int) -> int:
        """The first start at a moment of this opening or later; when it ends, where none is left."""
        starts = self.starts
        place = -((starts.start - moment) // starts.step) if isinstance(starts, range) else bisect_left(starts, moment)
        return starts[place] if place < len(starts) else self.ends


class OpeningHours:
    """The openings of one resource, day by day, each worked out once."""

    def __init__(self, resource: Resource) -> None:
        self._zone = time_zone(resource.time_zone)
        self._step = resource.slot_step_minutes
        self._weekly: dict[int, list[DayPeriod]] = {}
        for each in sorted(resource.opening_hours, key=lambda each: each.period.opens):
            self._weekly.setdefault(each.weekday, []).append(each.period)
        self._offsets: dict[date, int | None] = {}
        self._exceptions = {each.date: sorted(each.periods, key=lambda it: it.opens) for each in resource.exceptions}
        self._holidays = {(each.year, each.month, each.day) for each in resource.holidays}
        self._days: dict[date, Sequence[Opening]] = {}
        self._latest: Opening | None = None
        """What was asked for last: who goes through the times of a year mostly asks for the same one again."""
        self._stretch = (0, 0)
        """From when until when it is open without a break, as far as it was asked for last."""

    def _day_of(self, moment: int) -> date:
        """The local day of an instant."""
        return datetime.fromtimestamp(moment, self._zone).date()

    def opening_at(self, moment: int) -> Opening | None:
        """The opening that an instant lies in."""
        if self._latest is None or not self._latest.begins <= moment < self._latest.ends:
            found = (each for each in self._openings(self._day_of(moment)) if each.begins <= moment < each.ends)
            self._latest = next(found, None)
        return self._latest

    def open_until(self, begin: int, end: int) -> int:
        """Until when it is open from an instant on without a break, `end` at most; midnight is no break."""
        first, reached = self._stretch if self._stretch[0] <= begin <= self._stretch[1] else (begin, begin)
        while reached < end and (opening := self.opening_at(reached)):
            reached = opening.ends
        self._stretch = (first, reached)
        return min(reached, end)

    def next_opening(self, moment: int) -> int:
        """When it opens after an instant at which it is closed; a moment before that, where it is far ahead."""
        day = self._day_of(moment)
        for _ in range(_DAYS_AHEAD):
            for opening in self._openings(day):
                if opening.begins > moment:
                    self._latest = opening
                    return opening.begins
            day += _DAY
        return max(moment + 1, _first_moment(_local(day, 0), self._zone))

    def _openings(self, day: date) -> Sequence[Opening]:
        if day not in self._days:
            periods = self._periods(day)
            midnight = self._midnight_of_plain_day(day) if periods else None
            if midnight is None:
                found = [opening_of(day, period, self._zone, self._step) for period in periods]
            else:
                found = [_plain_opening(midnight, period, self._step) for period in periods]
            self._days[day] = [opening for opening in found if opening.begins < opening.ends]
        return self._days[day]

    def _midnight_of_plain_day(self, day: date) -> int | None:
        """When a day begins on which the clocks are not changed; None on which they may be, or close to it."""
        offset = self._offset(day)
        if offset is None or offset != self._offset(day + _DAY):
            return None
        return (day.toordinal() - _EPOCH_DAY) * _DAY_SECONDS - offset

    def _offset(self, day: date) -> int | None:
        """How far the clocks are ahead of UTC as a day begins, in seconds; None where they are changed around then."""
        if day not in self._offsets:
            midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone)
            offset, again = midnight.utcoffset(), midnight.replace(fold=1).utcoffset()
            self._offsets[day] = offset // _SECOND if offset is not None and offset == again else None
        return self._offsets[day]

    def _periods(self, day: date) -> Sequence[DayPeriod]:
        if day in self._exceptions:
            return self._exceptions[day]
        if self._holidays and any((year, day.month, day.day) in self._holidays for year in (0, day.year)):
            return ()
        return self._weekly.get(day.isoweekday(), ())


def check_hours(resource: Resource) -> None:
    """Raises FieldInvalid where two periods of one day overlap, or a day has two exceptions."""
    weekly: dict[int, list[DayPeriod]] = {}
    for each in resource.opening_hours:
        weekly.setdefault(each.weekday, []).append(each.period)
    for periods in weekly.values():
        _check_apart(periods, "resource.opening_hours")
    for place, hours in enumerate(resource.exceptions):
        _check_apart(hours.periods, f"resource.exceptions[{place}].periods")
    if len({each.date for each in resource.exceptions}) < len(resource.exceptions):
        raise FieldInvalid.of("resource.exceptions", "must not name a day twice")


def _check_apart(periods: Sequence[DayPeriod], path: str) -> None:
    ordered = sorted(periods, key=lambda period: period.opens)
    if any(one.closes > other.opens for one, other in pairwise(ordered)):
        raise FieldInvalid.of(path, "must not overlap on one day")


def _plain_opening(midnight: int, period: DayPeriod, step: int) -> Opening:
    begins, ends = midnight + period.opens * MINUTE, midnight + period.closes * MINUTE
    return Opening(begins, ends, range(begins, ends, step * MINUTE))


def opening_of(day: date, period: DayPeriod, zone: ZoneInfo, step: int) -> Opening:
    """A period of a day as the clocks of a zone show it, however they are changed on that day."""
    begins = _first_moment(_local(day, period.opens), zone)
    ends = _last_moment(_local(day, period.closes), zone)
    if ends - begins == (period.closes - period.opens) * MINUTE:
        return Opening(begins, ends, range(begins, ends, step * MINUTE))
    # The clocks are changed meanwhile: each step by the clock on the wall, none that is skipped, and both of one that
    # comes twice.
    found = {
        moment
        for minutes in range(period.opens, period.closes, step)
        for moment in moments_of(_local(day, minutes), zone)
        if begins <= moment < ends
    }
    return Opening(begins, ends, sorted(found))


def _local(day: date, minutes: int) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)


def moments_of(local: datetime, zone: ZoneInfo) -> Sequence[int]:
    """When the clocks of a zone show a local time: once as a rule, twice where they are turned back, or never."""
    both = sorted({seconds_of(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)})
    return [each for each in both if datetime.fromtimestamp(each, zone).replace(tzinfo=None, fold=0) == local]


def moment_by_clock(local: datetime, zone_name: str, *, second: bool) -> datetime:
    """When the clocks of a zone show a local time, the second time where they do so twice; or when they skip it."""
    zone = time_zone(zone_name)
    found = moments_of(local, zone)
    if not found:
        return moment_of(_change_over(local, zone))
    return moment_of(found[-1] if second else found[0])


def seconds_of(moment: datetime) -> int:
    """In seconds since 1970, cut."""
    return (moment - _EPOCH) // _SECOND


def moment_of(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)


def _first_moment(local: datetime, zone: ZoneInfo) -> int:
    """When the clocks first show a local time, or skip it."""
    found = moments_of(local, zone)
    return found[0] if found else _change_over(local, zone)


def _last_moment(local: datetime, zone: ZoneInfo) -> int:
    """When the clocks no longer show any time before a local one."""
    found = moments_of(local, zone)
    if not found:
        return _change_over(local, zone)
    # Turned back to this very time, they show nothing before it again.
    turned_back_before_it = len(moments_of(local - timedelta(minutes=1), zone)) > 1
    return found[-1] if turned_back_before_it else found[0]


def _change_over(skipped: datetime, zone: ZoneInfo) -> int:
    """When the clocks skip a local time."""
    before, after = sorted(skipped.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return seconds_of(next(clock_changes(zone, before, after)).instant)
