"""`backroom events chart`: a series in the terminal, as the server answers it."""

import asyncio
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import grpc

from backroom.events.v1 import event_queries_pb2 as queries
from backroom.events.v1 import event_query_service_pb2 as pb
from backroom_client import AsyncBackroom, Key
from server import settings
from server.cli.service_key import service_key
from server.cli.target_server import target_server, tls_of
from server.events.drawing import Chart, csv_of_chart, lines_of
from server.events.messages.charts import chart as chart_of
from server.events.messages.charts import title_of
from server.events.messages.queries import measure as measure_of
from server.events.rules.windows import first_shown
from server.frame.local_time import TimeZoneUnknown, time_zone
from server.frame.module import now
from server.frame.wire import timestamp
from server.process.failure import Failure
from server.settings import Settings

_DAYS = 7
"""That are shown where nothing else is asked for."""
_PERCENTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,3})?)")
_MAX_LATENESS = 30.0
"""In seconds: longer than the server counts."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be drawn, as it was typed."""

    event_type: str | None
    meter: str | None
    aggregation: str
    property: str
    group_by: str
    top: int
    by: str
    zone: str
    first: date | None
    last: date | None


def chart(asked: Asked, *, as_csv: bool) -> None:
    """Prints the chart, or CSV; raises Failure."""
    if bool(asked.event_type) == bool(asked.meter):
        raise Failure("events chart: name a type of events, or a meter by --meter")
    found = asyncio.run(_answered(settings.read(), asked))
    if as_csv:
        sys.stdout.buffer.write(csv_of_chart(found))
        return
    for line in lines_of(found, width=shutil.get_terminal_size((100, 24)).columns, plain=is_plain()):
        print(line)


def is_plain() -> bool:
    """Whether what is printed goes where only ASCII can be shown."""
    return (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"


async def _answered(configured: Settings, asked: Asked) -> Chart:
    period = _period(asked, _zone(asked.zone))
    # So that nothing is started where what was typed is wrong.
    counted = None if asked.meter else _measure(asked)
    async with target_server(configured) as address:
        tls = tls_of(configured)
        key = Key(await service_key(configured, address, tls))
        async with AsyncBackroom(address, key, tls=tls) as backroom:
            try:
                return await _asked(backroom, asked, counted, period)
            except grpc.aio.AioRpcError as error:
                raise Failure(f"{address}: {error.details()} ({error.code().name})") from None


async def _asked(
    backroom: AsyncBackroom, asked: Asked, counted: queries.Measure | None, period: queries.QueryPeriod
) -> Chart:
    groups, title = [asked.group_by] if asked.group_by else [], asked.meter or ""
    series: Sequence[queries.TimeSeries]
    if counted is None:
        named = pb.GetMeterRequest(name=asked.meter or "")
        counted = (await backroom.event_queries.GetMeter(named)).meter.measure
        of_meter = pb.QueryMeterRequest(name=asked.meter or "", period=period, group_by=groups, top=asked.top)
        series = (await backroom.event_queries.QueryMeter(of_meter, timeout=_MAX_LATENESS)).series
    else:
        request = pb.QueryTimeSeriesRequest(measure=counted, period=period, group_by=groups, top=asked.top)
        series = (await backroom.event_queries.QueryTimeSeries(request, timeout=_MAX_LATENESS)).series
    return chart_of(title or title_of(measure_of(counted)), period, counted.percentiles, series)


def _measure(asked: Asked) -> queries.Measure:
    measure = queries.Measure(event_type=asked.event_type or "", property=asked.property)
    if found := _PERCENTILE.fullmatch(asked.aggregation):
        measure.aggregation = queries.AGGREGATION_PERCENTILES
        measure.percentiles.append(float(found[1]))
        return measure
    names = {name.removeprefix("AGGREGATION_").lower(): value for name, value in queries.Aggregation.items() if value}
    del names["percentiles"]
    if asked.aggregation not in names:
        raise Failure(f"--aggregation: {asked.aggregation!r} is none of {', '.join(names)}, p50, p99 and so on")
    measure.aggregation = names[asked.aggregation]
    return measure


def _period(asked: Asked, zone: ZoneInfo) -> queries.QueryPeriod:
    names = {name.removeprefix("GRANULARITY_").lower(): value for name, value in queries.Granularity.items() if value}
    if asked.by not in names:
        raise Failure(f"--by: {asked.by!r} is none of {', '.join(names)}")
    last = asked.last or now().astimezone(zone).date()
    first = asked.first or last - timedelta(days=_DAYS - 1)
    if first > last:
        raise Failure(f"--from: {first} is after {last}")
    start, end = first_shown(zone, first), first_shown(zone, last + timedelta(days=1))
    return queries.QueryPeriod(
        start_time=timestamp(start), end_time=timestamp(end), granularity=names[asked.by], time_zone=asked.zone
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return time_zone(name)
    except TimeZoneUnknown as error:
        raise Failure(f"--zone: {name!r} {error}") from None
