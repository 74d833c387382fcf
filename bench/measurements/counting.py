"""A year of events counted by day: out of rollups, over the wire, beside a scan of all of them."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg

from backroom.events.v1 import event_queries_pb2 as queries
from backroom.events.v1.event_query_service_pb2 import QueryTimeSeriesRequest
from backroom_client import AsyncBackroom, Key
from bench.rounds import Side, rounds
from bench.row import LIMIT, Row, row
from bench.setting import Bench
from bench.totals import TotalsMismatch
from server.frame.wire import time_of, timestamp
from storage.database import Database
from storage.events.measures import series_of_type
from storage.events.store import EVENTS

_TYPE, _ZONE = "order.paid", "Europe/Berlin"
_EVENTS, _EVENTS_IN_LONG = 200_000, 10_000_000
_AT_ONCE = 500_000
_DAYS = 365
_LEAST_OF_SCAN, _MOST_MILLISECONDS = 50, 50.0
_TRIES = 5
"""Of which a round takes the fastest: it lasts some milliseconds."""
_FILL = """
    INSERT INTO events.events (time, sequence, receive_time, source, id, type, subject, data)
    SELECT %(first)s + make_interval(secs => floor(number * %(days)s * 86400.0 / %(count)s)), number, now(), '/shop',
        number::text, %(type)s, 'c' || number %% 5000, json_build_object('total', number %% 10000)
    FROM generate_series(%(start)s::bigint, %(end)s::bigint) AS number
"""
_SCAN = "SELECT date_trunc('day', time, 'UTC'), count(*) FROM events.events WHERE type = %s GROUP BY 1"


async def counting(bench: Bench) -> list[Row]:
    """Written directly into the tables, and rolled up as a worker does it, a day at a time."""
    count, url = _EVENTS_IN_LONG if bench.long else _EVENTS, bench.database("counting")
    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=_DAYS)
    bench.say(f"  filling a year with {count:,} events")
    await asyncio.to_thread(_fill, url, first, count)
    bench.say("  rolling it up")
    await _roll_up(url, first)
    async with bench.backroom(url) as server, AsyncBackroom(server.address, Key(server.api_key)) as backroom:
        found = await _counted(backroom, first, "UTC")
        if found != await asyncio.to_thread(_scanned, url):
            raise TotalsMismatch("a year by day differs between rollups and a scan of the events")
        sides = {zone: Side(f"by days of {zone}", partial(_timed, backroom, first, zone)) for zone in ("UTC", _ZONE)}
        scan = Side("a scan of all events", partial(_scan_timed, url))
        await rounds(bench, *sides.values(), scan)
    rows: list[Row] = []
    for zone, ours in sides.items():
        measured = f"QueryTimeSeries, a year by days of {zone}, {count:,} events"
        given = {"lower_is_better": True}
        beside = list(zip(ours.figures, scan.figures, strict=True))
        limited = [(each, _MOST_MILLISECONDS) for each in ours.figures]
        # Of few events, a scan is fast too.
        goal = _LEAST_OF_SCAN if bench.long else None
        rows.append(row(measured, "ms", beside, against=scan.name, goal=goal, **given))
        rows.append(row(measured, "ms", limited, against=LIMIT, goal=1, **given))
    return rows


def _fill(url: str, first: datetime, count: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        connection.execute("SET synchronous_commit = off")
        for day in range(_DAYS):
            connection.execute("SELECT events.create_partition(%s)", [(first + timedelta(days=day)).date()])
        given = {"first": first, "days": _DAYS, "count": count, "type": _TYPE}
        for start in range(0, count, _AT_ONCE):
            connection.execute(_FILL, {**given, "start": start, "end": min(start + _AT_ONCE, count) - 1})
        connection.execute("VACUUM ANALYZE events.events")


async def _roll_up(url: str, first: datetime) -> None:
    database = Database(url, pool_size=1)
    try:
        for day in range(_DAYS):
            async with database.store(EVENTS).transaction() as tx:
                await tx.rollups.recount_day(series_of_type(_TYPE), first + timedelta(days=day))
    finally:
        await database.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE events.rollups")


async def _counted(backroom: AsyncBackroom, first: datetime, zone: str) -> Mapping[datetime, int]:
    """How many events each day has, as the server answers it."""
    request = QueryTimeSeriesRequest(
        measure=queries.Measure(event_type=_TYPE, aggregation=queries.AGGREGATION_COUNT),
        period=queries.QueryPeriod(
            start_time=timestamp(first),
            end_time=timestamp(first + timedelta(days=_DAYS)),
            granularity=queries.GRANULARITY_DAY,
            time_zone=zone,
        ),
    )
    (series,) = (await backroom.event_queries.QueryTimeSeries(request)).series
    return {time_of(point.start_time): point.count for point in series.points}


def _scanned(url: str) -> Mapping[datetime, int]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        rows: Sequence[tuple[datetime, int]] = connection.execute(_SCAN, [_TYPE]).fetchall()
    return {day.astimezone(UTC): count for day, count in rows}


async def _timed(backroom: AsyncBackroom, first: datetime, zone: str) -> float:
    """In milliseconds."""
    taken = []
    for _ in range(_TRIES):
        began = time.perf_counter()
        await _counted(backroom, first, zone)
        taken.append((time.perf_counter() - began) * 1_000)
    return min(taken)


async def _scan_timed(url: str) -> float:
    """In milliseconds; PostgreSQL may use several processes for it."""
    began = time.perf_counter()
    await asyncio.to_thread(_scanned, url)
    return (time.perf_counter() - began) * 1_000
