from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from server.events.errors import MeterNotFound, QueryTooLarge
from server.events.rules.asking import (
    MAX_COHORTS,
    MeterQuery,
    Period,
    SeriesQuery,
    buckets_of,
    check_funnel,
    check_measure,
    check_meter_query,
    check_properties,
    check_steps,
)
from server.events.rules.covering import covered
from server.events.rules.retention import CohortCounts, cohorts_of
from server.events.rules.series import Series, series_of
from server.events.rules.windows import EARLIEST, Bucket
from server.events.service.slow_readings import SlowReadings
from server.frame.errors import FieldInvalid
from storage.errors import StoreTimeout
from storage.events.measures import (
    Ask,
    Funnel,
    FunnelCounts,
    FunnelPerson,
    Measure,
    Meter,
    RollupSeries,
    Sources,
    Span,
    Step,
    series_of_meter,
    series_of_type,
)
from storage.events.store import EventsConfigurationStore, EventsReading


class Counting:
    """Counts events by time: each that is stored once, whether rollups have it or not."""

    def __init__(
        self, readings: SlowReadings, configuration: EventsConfigurationStore, now: Callable[[], datetime]
    ) -> None:
        self._readings = readings
        self._configuration = configuration
        self._now = now

    async def time_series(self, query: SeriesQuery) -> Sequence[Series]:
        """Raises FieldInvalid, QueryTooLarge."""
        buckets = self.checked(query)
        ask = _ask(query.measure, buckets, query.group_by, query.top)
        async with self._reading() as reading:
            sources, rollups = Sources((), [_whole(buckets)]), None
            if query.measure == Measure(query.measure.event_type) and not query.group_by:
                rollups = series_of_type(query.measure.event_type)
                sources = covered(buckets, await _touched(reading, query.measure, buckets))
            tallies = await reading.tallies.count(ask, sources, rollups)
        return series_of(query.measure, query.group_by, buckets, tallies, self._now())

    def checked(self, query: SeriesQuery) -> Sequence[Bucket]:
        """The buckets of what is asked; raises FieldInvalid."""
        check_measure(query.measure, "measure")
        check_properties(query.group_by, "group_by")
        return buckets_of(query.period, _series(query.group_by, query.top))

    async def meter_series(self, query: MeterQuery) -> tuple[Meter, Sequence[Series]]:
        """What a meter counted; raises MeterNotFound, FieldInvalid, QueryTooLarge."""
        meter, buckets = await self.checked_meter(query)
        ask = _ask(meter.measure, buckets, query.group_by, query.top, query)
        async with self._reading() as reading:
            sources, rollups = await self._meter_sources(reading, meter, buckets)
            tallies = await reading.tallies.count(ask, sources, rollups)
        return meter, series_of(meter.measure, query.group_by, buckets, tallies, self._now())

    async def checked_meter(self, query: MeterQuery) -> tuple[Meter, Sequence[Bucket]]:
        """The meter and the buckets of what is asked; raises MeterNotFound, FieldInvalid."""
        async with self._configuration.reading() as reading:
            meter = await reading.meters.find(query.name)
        if meter is None:
            raise MeterNotFound(name=query.name)
        check_meter_query(query, meter.group_by)
        return meter, buckets_of(query.period, _series(query.group_by, query.top))

    async def _meter_sources(
        self, reading: EventsReading, meter: Meter, buckets: Sequence[Bucket]
    ) -> tuple[Sources, RollupSeries | None]:
        ready_from = (await reading.rollups.progress()).get(meter.id)
        if ready_from is None:
            return Sources((), [_whole(buckets)]), None
        unready = [Span(EARLIEST, ready_from)] if ready_from > EARLIEST else []
        touched = await _touched(reading, meter.measure, buckets)
        return covered(buckets, [*unready, *touched]), series_of_meter(meter)

    async def funnel(self, funnel: Funnel, top: int) -> tuple[Sequence[int], Sequence[FunnelCounts]]:
        """How many people reached each step: all of them, and by the breakdown; raises FieldInvalid, QueryTooLarge."""
        check_funnel(funnel)
        async with self._reading() as reading:
            found = await reading.people.count_funnel(funnel, top)
        total = [sum(each.people[step] for each in found) for step in range(len(funnel.steps))]
        return total, found

    async def funnel_people(
        self, funnel: Funnel, step: int, group: tuple[str | None] | None, *, after: str | None, limit: int
    ) -> Sequence[FunnelPerson]:
        """Who reached a step, by their subjects; raises FieldInvalid, QueryTooLarge."""
        check_funnel(funnel)
        if step > len(funnel.steps):
            raise FieldInvalid.of("step", f"is not one of the funnel's {len(funnel.steps)} steps")
        if group is not None and not funnel.breakdown:
            raise FieldInvalid.of("group", "must be empty where the funnel has no breakdown")
        async with self._reading() as reading:
            return await reading.people.list_funnel(funnel, step, group, after=after, limit=limit)

    async def retention(self, first: Step, returning: Step, period: Period) -> Sequence[CohortCounts]:
        """Who came back, by when they were first there; raises FieldInvalid, QueryTooLarge."""
        check_steps(first, returning)
        buckets = buckets_of(period, 1, most=MAX_COHORTS)
        starts = [each.start for each in buckets]
        async with self._reading() as reading:
            found = await reading.people.count_retention(first, returning, starts, buckets[-1].end)
        return cohorts_of(buckets, found, self._now())

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[EventsReading]:
        """All of an answer is of one moment."""
        try:
            async with self._readings.snapshot_reading() as reading:
                yield reading
        except StoreTimeout:
            raise QueryTooLarge from None


def _series(group_by: Sequence[str], top: int) -> int:
    return top + 1 if group_by else 1


def _ask(
    measure: Measure, buckets: Sequence[Bucket], group_by: tuple[str, ...], top: int, query: MeterQuery | None = None
) -> Ask:
    return Ask(measure, [each.start for each in buckets], group_by, query.filters if query else (), top)


def _whole(buckets: Sequence[Bucket]) -> Span:
    return Span(buckets[0].start, buckets[-1].end)


async def _touched(reading: EventsReading, measure: Measure, buckets: Sequence[Bucket]) -> Sequence[Span]:
    return await reading.rollups.list_touched(measure.event_type, buckets[0].start, buckets[-1].end)
