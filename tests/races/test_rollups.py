"""Rollups that are brought up to date while events come and go."""

import asyncio
from datetime import UTC, datetime, timedelta

from server.events.rules.asking import MeterQuery, Period, SeriesQuery
from server.events.rules.windows import Granularity
from storage.database import Database
from storage.events.laws import LAWS
from storage.events.measures import Aggregation, Measure
from storage.events.store import EVENTS
from storage.laws import LawReader
from tests.events.counting import Happened, add, rolling_of
from tests.events.test_counting import counting_of, keep, meter_of

_WRITERS, _BATCHES, _EVENTS = 4, 12, 20
_ALL = _WRITERS * _BATCHES * _EVENTS
_ROLLERS = 3
BEGIN = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
"""Recent enough for the laws to look at it."""


class Storing:
    """Writers of events on the same few minutes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.stored = 0
        """How many are, at least."""
        self.ended = False

    async def write(self, writer: str) -> None:
        for batch in range(_BATCHES):
            names = [f"{writer}-{batch}-{place}" for place in range(_EVENTS)]
            minutes = [BEGIN + timedelta(minutes=place % 7) for place in range(_EVENTS)]
            await add(self._database, [Happened(*each, {"amount": 1}) for each in zip(names, minutes, strict=True)])
            self.stored += _EVENTS

    async def write_all(self) -> None:
        await asyncio.gather(*(self.write(f"w{each}") for each in range(_WRITERS)))
        self.ended = True

    async def roll_up(self) -> None:
        while not self.ended:
            await rolling_of(self._database, at_once=5).roll_up()


async def test_nothing_is_lost_between_those_who_store_and_those_who_roll_up(database: Database) -> None:
    """Several writers and several workers on the same minutes: each question meanwhile sees all that is stored, and at
    the end rollups have it all."""
    meter = meter_of(Measure("order.paid", Aggregation.SUM, "amount"), ("$subject",))
    await keep(database, meter)
    await add(database, [Happened("first", BEGIN - timedelta(days=1), {"amount": 1})])
    storing, count = Storing(database), counting_of(database)
    period = Period(BEGIN, BEGIN + timedelta(days=1), Granularity.DAY, "UTC")

    async def asked() -> None:
        before = storing.stored
        _, metered = await count.meter_series(MeterQuery(meter.name, period))
        counted = await count.time_series(SeriesQuery(Measure("order.paid"), period))
        for (series,) in (metered, counted):
            assert before <= int(series.points[0].values[0]) <= _ALL

    async with asyncio.TaskGroup() as group:
        for _ in range(_ROLLERS):
            group.create_task(storing.roll_up())
        writing = group.create_task(storing.write_all())
        while not writing.done():
            await asked()
    await rolling_of(database).roll_up()
    await asked()
    assert storing.stored == _ALL
    async with database.store(EVENTS).transaction() as tx:
        found = await LawReader(tx._connection).check([law for law in LAWS if law.id in ("I37", "I38")])
    assert [(finding.checked > 0, finding.violations) for finding in found] == [(True, 0)] * 2


async def test_while_one_rolls_up_another_takes_nothing(database: Database) -> None:
    """What two took of one minute at the same time, the slower one could write as it was before."""
    await add(database, [Happened("one", BEGIN)])
    async with database.store(EVENTS).transaction() as tx:
        assert await tx.rollups.lock()
        await rolling_of(database).roll_up()
        assert await tx.rollups.take_touched(10) == {"order.paid": [BEGIN]}
