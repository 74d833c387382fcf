"""What is counted is what a plain reading of all events says, whatever rollups have of it."""

import random
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from server.events.errors import QueryTooLarge
from server.events.rules.asking import MeterQuery, Period, SeriesQuery
from server.events.rules.series import Point, Series
from server.events.rules.windows import Granularity, buckets
from server.events.service.counting import Counting
from server.events.service.slow_readings import SlowReadings
from server.frame.local_time import time_zone
from storage.database import Database
from storage.events.measures import Aggregation, FilterOperator, Measure, Meter, PropertyFilter
from storage.events.store import EVENTS, EVENTS_CONFIGURATION
from tests.events.counting import BEGIN, Happened, add, counting, made_of, passes, rolling_of, text_of, value_of

_NOW = datetime(2026, 4, 10, tzinfo=UTC)
_DAYS = 12
_ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe")
_VALUES = (1, 2.5, -0.0, 0.0, -3.75, 1e-9, 123456789.01, "7", "NaN", None, True, [1], 10, 10.0)
_PLANS = ("free", "pro", "", None, 1, 1.0, "über 'quoted'", "\n")


def of(aggregation: Aggregation, *filters: PropertyFilter) -> Measure:
    name = "" if aggregation is Aggregation.COUNT else "amount"
    if aggregation is Aggregation.DISTINCT:
        name = "buyer.id"
    percentiles = (50.0, 99.0) if aggregation is Aggregation.PERCENTILES else ()
    return Measure("order.paid", aggregation, name, percentiles, filters)


def random_event(chance: random.Random, number: int) -> Happened:
    data = {"amount": chance.choice(_VALUES), "plan": chance.choice(_PLANS), "buyer": {"id": chance.randrange(40)}}
    time = BEGIN + timedelta(seconds=chance.randrange(_DAYS * 86_400), microseconds=chance.randrange(2))
    if chance.random() < 0.2:  # several at once
        time = BEGIN + timedelta(hours=chance.choice((5, 100, 100 + 1 / 60)))
    return Happened(
        id=f"e{number}",
        time=time,
        data={name: value for name, value in data.items() if chance.random() < 0.9},
        type=chance.choices(("order.paid", "order.placed"), (4, 1))[0],
        subject=chance.choice(("", "ann", "bob")),
    )


def random_period(chance: random.Random) -> Period:
    granularity = chance.choice(list(Granularity))
    most = {Granularity.MINUTE: 90, Granularity.HOUR: 24 * 60}.get(granularity, _DAYS * 24 * 60)
    start = BEGIN + timedelta(minutes=chance.randrange(-60, _DAYS * 24 * 60))
    if chance.random() < 0.3:
        start += timedelta(seconds=chance.randrange(60))
    return Period(start, start + timedelta(minutes=1 + chance.randrange(most)), granularity, chance.choice(_ZONES))


def meter_of(measure: Measure, group_by: Sequence[str] = ()) -> Meter:
    return Meter(uuid4(), f"m{uuid4().hex}", "", measure, tuple(group_by), 1, _NOW, _NOW)


async def keep(database: Database, *meters: Meter) -> None:
    async with database.store(EVENTS_CONFIGURATION).transaction() as tx:
        for each in meters:
            await tx.meters.add(each)


def counting_of(database: Database) -> Counting:
    return Counting(SlowReadings(database.store(EVENTS)), database.store(EVENTS_CONFIGURATION), lambda: _NOW)


def check(
    found: Sequence[Series],
    events: Sequence[Happened],
    measure: Measure,
    period: Period,
    group_by: Sequence[str] = (),
    top: int = 10,
) -> None:
    """The series are those that a plain reading of the events says."""
    divided = buckets(time_zone(period.time_zone), period.granularity, period.start, period.end, most=10_000)
    within = counting([each for each in events if period.start <= each.time < period.end], measure)
    groups: dict[tuple[str | None, ...], list[Happened]] = {}
    for each in within:
        groups.setdefault(tuple(text_of(value_of(each, name)) for name in group_by), []).append(each)
    expected: list[tuple[tuple[str | None, ...] | None, list[Happened]]] = list(ranked(groups, measure)[:top])
    if not group_by:
        expected = [((), within)]
    elif rest := ranked(groups, measure)[top:]:
        expected.append((None, [each for _, some in rest for each in some]))
    assert [None if each.other else tuple(value for _, value in each.group) for each in found] == [
        group for group, _ in expected
    ]
    for series, (_, some) in zip(found, expected, strict=True):
        assert [(each.bucket.start, each.bucket.end) for each in series.points] == [
            (each.start, each.end) for each in divided
        ]
        starts, by_point = [each.start for each in divided], [list[Happened]() for _ in divided]
        for happened in some:
            by_point[bisect_right(starts, happened.time) - 1].append(happened)
        for point, of_point in zip(series.points, by_point, strict=True):
            assert all(point.bucket.start <= each.time < point.bucket.end for each in of_point)
            check_point(point, of_point, measure)


def ranked(
    groups: dict[tuple[str | None, ...], list[Happened]], measure: Measure
) -> list[tuple[tuple[str | None, ...], list[Happened]]]:
    def weight(some: list[Happened]) -> Decimal:
        return made_of(some, measure)[0] or Decimal(0) if measure.aggregation is Aggregation.SUM else Decimal(len(some))

    def by_text(group: tuple[str | None, ...]) -> list[tuple[bool, bytes]]:
        return [(value is None, (value or "").encode()) for value in group]

    return sorted(groups.items(), key=lambda each: (-weight(each[1]), by_text(each[0])))


def check_point(point: Point, events: Sequence[Happened], measure: Measure) -> None:
    assert point.count == len(events)
    expected = made_of(events, measure)
    if expected == [None] * len(expected):
        assert point.values == ()
        return
    for value, number in zip(point.values, expected, strict=True):
        assert number is not None
        tolerance = abs(number) * Decimal("0.0100001") if measure.aggregation is Aggregation.PERCENTILES else 0
        if measure.aggregation is Aggregation.AVERAGE:
            tolerance = abs(number) * Decimal("1e-15") + Decimal("1e-20")
        assert abs(Decimal(value) - number) <= tolerance, (value, number)


async def play(database: Database, seed: int, batches: int, *, asked_every: int = 1) -> None:
    """Batches of events that come in no order of time, rollups brought up to date now and then, and two questions after
    every so many batches."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    count, rolling = counting_of(database), rolling_of(database, at_once=40)
    grouped = ("plan", "$subject", "buyer.id")
    wanted = PropertyFilter("amount", FilterOperator.GREATER, ("0.5",))
    meters = [meter_of(of(each), grouped) for each in Aggregation] + [meter_of(of(Aggregation.SUM, wanted), grouped)]
    await keep(database, *meters[:3])
    events: list[Happened] = []
    for batch in range(batches):
        late = [random_event(chance, len(events) + place) for place in range(chance.randrange(1, 12))]
        events += late
        await add(database, late)
        if batch == batches // 2:
            await keep(database, *meters[3:])  # which have to count what came before them
        if chance.random() < 0.4:
            await rolling.roll_up()
        if batch % asked_every == 0:
            meter = chance.choice(meters if batch >= batches // 2 else meters[:3])
            await ask_meter(count, chance, meter, events)
            await ask_series(count, chance, events)
    await rolling.roll_up()
    for meter in meters:
        await ask_meter(count, chance, meter, events)


async def ask_meter(count: Counting, chance: random.Random, meter: Meter, events: Sequence[Happened]) -> None:
    group_by, top = random_groups(chance, meter.group_by), chance.randrange(1, 6)
    filters = random_filters(chance, chance.sample(meter.group_by, chance.randrange(2)))
    period = random_period(chance)
    _, found = await count.meter_series(MeterQuery(meter.name, period, group_by, top, filters))
    kept = [each for each in events if all(passes(each, wanted) for wanted in filters)]
    check(found, kept, meter.measure, period, group_by, top)


async def ask_series(count: Counting, chance: random.Random, events: Sequence[Happened]) -> None:
    filters = random_filters(chance, chance.sample(("plan", "amount", "$subject"), chance.randrange(3)))
    measure, period = of(chance.choice(list(Aggregation)), *filters), random_period(chance)
    group_by, top = random_groups(chance, ("plan", "buyer.id")), chance.randrange(1, 6)
    found = await count.time_series(SeriesQuery(measure, period, group_by, top))
    check(found, events, measure, period, group_by, top)


def random_groups(chance: random.Random, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(chance.sample(names, chance.choice((0, 0, 1, 2))))


def random_filters(chance: random.Random, names: Sequence[str]) -> tuple[PropertyFilter, ...]:
    made = []
    for name in names:
        operator = chance.choice(
            (FilterOperator.IN, FilterOperator.NOT_IN, FilterOperator.EXISTS, FilterOperator.NOT_EXISTS)
        )
        listed = operator in (FilterOperator.IN, FilterOperator.NOT_IN)
        made.append(PropertyFilter(name, operator, ("pro", "1", "10", "ann", "0") if listed else ()))
    return tuple(made)


async def test_whatever_comes_late_is_counted_once(database: Database) -> None:
    """Answers are those of a plain reading of all events, whichever of them rollups have already."""
    await play(database, 1, 8)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("seed", range(3, 7))
async def test_a_thousand_late_batches_are_counted_once(database: Database, seed: int) -> None:
    """The same with a thousand batches in four histories, and five hundred questions."""
    await play(database, seed, 250, asked_every=4)


async def test_an_empty_series_is_filled(database: Database) -> None:
    """Where nothing happened, each bucket has a point, which says so."""
    period = Period(BEGIN, BEGIN + timedelta(days=2), Granularity.DAY, "UTC")
    for aggregation in Aggregation:
        (series,) = await counting_of(database).time_series(SeriesQuery(of(aggregation), period))
        additive = aggregation in (Aggregation.COUNT, Aggregation.SUM, Aggregation.DISTINCT)
        assert [(each.count, each.values) for each in series.points] == [(0, ("0",) if additive else ())] * 2


async def test_many_distinct_values_are_estimated(database: Database) -> None:
    """Above 10,000 distinct values, their number is an estimate within 3 %, from rollups as from events."""
    measure = Measure("order.paid", Aggregation.DISTINCT, "n")
    meter = meter_of(measure)
    await keep(database, meter)
    for part in range(2):
        hour = BEGIN + timedelta(hours=part)
        await add(database, [Happened(f"{part}-{n}", hour, {"n": n + part * 5_500}) for n in range(6_000)])
    period = Period(BEGIN, BEGIN + timedelta(days=1), Granularity.DAY, "UTC")
    hours = Period(BEGIN, BEGIN + timedelta(hours=2), Granularity.HOUR, "UTC")
    count = counting_of(database)
    for rolled in (False, True):
        if rolled:
            await rolling_of(database).roll_up()
        for series in (
            await count.time_series(SeriesQuery(measure, period)),
            (await count.meter_series(MeterQuery(meter.name, period)))[1],
        ):
            (point,) = series[0].points
            assert point.estimated
            assert abs(int(point.values[0]) - 11_500) < 11_500 * 0.03
            assert point.count == 12_000
        _, hourly = await count.meter_series(MeterQuery(meter.name, hours))
        assert [each.values for each in hourly[0].points] == [("6000",)] * 2


async def test_what_is_no_number_is_not_summed_up(database: Database) -> None:
    """Text, true, null, lists and numbers of absurd sizes are left out, and -0.0 is 0."""
    data = ["1", "NaN", True, None, [1], {"a": 1}, -0.0, 2]
    await add(database, [Happened(str(place), BEGIN, {"amount": each}) for place, each in enumerate(data)])
    async with database.store(EVENTS).transaction() as tx:
        for number in ("1e999999", "1e-999999", "1" * 500, "-1e0001000"):
            await tx._connection.execute(
                text(
                    "INSERT INTO events.events (time, sequence, receive_time, source, id, type, subject, data)"
                    " VALUES (:time, 0, now(), '/shop', :id, 'order.paid', '', CAST(:data AS json))"
                ),
                {"time": BEGIN, "id": number, "data": f'{{"amount": {number}}}'},
            )
    period = Period(BEGIN, BEGIN + timedelta(days=1), Granularity.DAY, "UTC")
    found = {}
    for aggregation in (Aggregation.SUM, Aggregation.MIN, Aggregation.AVERAGE):
        (series,) = await counting_of(database).time_series(SeriesQuery(of(aggregation), period))
        found[aggregation] = (series.points[0].count, *series.points[0].values)
    assert found == {Aggregation.SUM: (2, "2"), Aggregation.MIN: (2, "0"), Aggregation.AVERAGE: (2, "1")}


async def test_a_deleted_meter_leaves_no_rollups(database: Database) -> None:
    """What was kept ready for a meter goes with it."""
    meter = meter_of(of(Aggregation.SUM))
    await keep(database, meter)
    await add(database, [Happened(str(n), BEGIN + timedelta(minutes=n), {"amount": 1}) for n in range(10)])
    await rolling_of(database).roll_up()
    assert await rollups_of(database, meter.id) == 12
    async with database.store(EVENTS_CONFIGURATION).transaction() as tx:
        await tx.meters.remove(meter)
    await rolling_of(database).roll_up()
    assert await rollups_of(database, meter.id) == 0


async def rollups_of(database: Database, meter_id: UUID) -> int:
    async with database.store(EVENTS).transaction() as tx:
        statement = text("SELECT count(*) FROM events.rollups WHERE series = :series")
        return int(await tx._connection.scalar(statement, {"series": f"meter:{meter_id}"}) or 0)


async def test_a_dropped_day_takes_its_rollups_along(database: Database) -> None:
    """And no other day's."""
    await add(database, [Happened(str(n), BEGIN + timedelta(days=n)) for n in range(2)])
    await rolling_of(database).roll_up()
    async with database.store(EVENTS).transaction() as tx:
        await tx.rollups.remove_day(BEGIN.date())
        found = (await tx._connection.execute(text("SELECT DISTINCT bucket FROM events.rollups"))).scalars()
        assert list(found) == [BEGIN + timedelta(days=1)]


async def test_what_takes_too_long_to_count_is_refused(database_url: str) -> None:
    """By a refusal that says what would be faster, and not as if the server had failed."""
    database = Database(database_url, pool_size=1)
    try:
        async with database.store(EVENTS).reading() as reading:
            await reading._connection.execute(text("SET statement_timeout = '1ms'"))
        with pytest.raises(QueryTooLarge):
            await ask_often(counting_of(database))
    finally:
        await database.close()


async def ask_often(count: Counting) -> None:
    """Asks for what takes milliseconds, until one of them is too many."""
    period = Period(BEGIN, BEGIN + timedelta(minutes=9_000), Granularity.MINUTE, "UTC")
    for _ in range(50):
        await count.time_series(SeriesQuery(of(Aggregation.PERCENTILES), period))
