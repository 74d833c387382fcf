"""Time series and meters over the wire."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from backroom.events.v1 import event_queries_pb2 as queries
from backroom.events.v1 import event_query_service_pb2 as pb
from backroom.events.v1 import event_service_pb2, events_pb2
from server.events.service.slow_readings import AT_ONCE
from server.frame.wire import time_of
from tests.events.asking import (
    BEGIN,
    TODAY,
    event,
    fresh,
    groups,
    measure,
    meter,
    metered,
    period,
    sent,
    series,
    told,
    where,
)
from tests.events.counting import rolling_of
from tests.fixtures.servers import Api, Running, SharedServer, refusal
from tests.fixtures.trading import eventually

_HOUR = timedelta(hours=1)


@pytest.fixture
async def api(server: Running) -> Api:
    return await server.sign_in("admin")


async def pay(api: Api, *payments: tuple[datetime, Any]) -> None:
    await sent(api, [event("order.paid", at, data) for at, data in payments])


async def rolled_up(server: Running) -> None:
    """Has the rollups brought up to date, as a worker does every two seconds."""
    await rolling_of(server.database).roll_up()


async def test_however_many_questions_take_long_other_calls_are_answered(
    emptied_server: SharedServer, api: Api
) -> None:
    """Each takes a connection for seconds, of which a process has ten for all of its modules: few are asked at once."""
    await pay(api, (BEGIN, {"total": 1}))
    with psycopg.connect(emptied_server.url) as blocking, psycopg.connect(emptied_server.url) as watching:
        blocking.execute("LOCK TABLE events.events IN ACCESS EXCLUSIVE MODE")

        async def waiting() -> int:
            found = watching.execute(_WAITING).fetchone()
            watching.rollback()
            return found[0] if found else 0

        asked = [asyncio.create_task(series(api, measure("order.paid"), period(), group_by=["x"])) for _ in range(12)]
        listed = [api.events.ListEvents(event_service_pb2.ListEventsRequest()) for _ in range(12)]
        await eventually(waiting, lambda count: count >= AT_ONCE)
        for _ in range(3):
            await api.event_queries.ListMeters(pb.ListMetersRequest())
        assert await waiting() == AT_ONCE
        blocking.rollback()
        for each in await asyncio.gather(*listed):
            assert len(each.events) == 1
        for found in await asyncio.gather(*asked):
            assert [told(each) for each in found] == [[("1",)]]


_WAITING = b"""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()
"""


async def test_events_are_summed_up_to_the_penny_by_local_days(api: Api) -> None:
    """A sum is exact, and a day is one of the zone's: the same event is on another day in another zone."""
    await pay(api, *[(BEGIN + 23 * _HOUR, {"total": 0.1})] * 3, (BEGIN + 30 * _HOUR, {"total": 19.99}))
    (utc,) = await series(api, measure("order.paid", "SUM", "total"), period())
    assert [point.values[0] for point in utc.points][:3] == ["0.3", "19.99", "0"]
    assert len(utc.points) == 30
    (tokyo,) = await series(api, measure("order.paid", "SUM", "total"), period(zone="Asia/Tokyo"))
    assert [point.values[0] for point in tokyo.points][:3] == ["0", "20.29", "0"]
    assert time_of(tokyo.points[1].start_time) == BEGIN + 15 * _HOUR
    assert [tokyo.points[0].partial, tokyo.points[1].partial, tokyo.points[-1].partial] == [True, False, True]


async def test_the_current_bucket_is_partial(api: Api) -> None:
    """A day that is not over is not whole."""
    over = period(start=TODAY - timedelta(days=1), length=timedelta(days=2))
    (found,) = await series(api, measure("order.paid"), over)
    assert [point.partial for point in found.points] == [False, True]


async def test_the_most_frequent_groups_have_series_and_the_others_one_together(api: Api) -> None:
    """An event without the property is in a group of its own."""
    plans = ["pro"] * 3 + ["free"] * 2 + ["basic", "old"]
    await pay(api, *[(BEGIN, {"plan": each}) for each in plans], (BEGIN, {}), (BEGIN, {"plan": None}))
    found = await series(api, measure("order.paid"), period(), group_by=["plan"], top=3)
    assert groups(found) == [["pro"], ["free"], [None], None]
    assert [told(each) for each in found] == [[("3",)], [("2",)], [("2",)], [("2",)]]
    chosen = measure("order.paid", filters=[where("plan", "NOT_IN", "pro"), where("plan", "EXISTS")])
    assert groups(await series(api, chosen, period(), group_by=["plan"])) == [["free"], ["basic"], ["old"]]


async def test_a_million_groups_are_answered_by_the_first_and_the_others(api: Api) -> None:
    """However many values a property has, an answer has as many series as were asked for, and one more."""
    for part in range(3):
        await sent(api, [event("page.seen", BEGIN, {"url": f"/{part}/{n}"}) for n in range(3_500)])
    found = await series(api, measure("page.seen"), period(), group_by=["url"], top=2)
    assert groups(found) == [["/0/0"], ["/0/1"], None]
    assert [told(each) for each in found] == [[("1",)], [("1",)], [("10498",)]]
    (distinct,) = await series(api, measure("page.seen", "DISTINCT", "url"), period())
    assert distinct.points[0].estimated
    assert abs(int(distinct.points[0].values[0]) - 10_500) < 315


async def test_the_latest_of_several_at_one_time_is_the_same_each_time(api: Api, server: Running) -> None:
    """Of events at the same microsecond, that with the greatest id is the latest, from events as from rollups."""
    await meter(api, "latest", measure("price.set", "LATEST", "price"))
    prices = [("b", 2), ("c", 3), ("a", 1), ("B", 4)]
    await sent(api, [event("price.set", BEGIN, {"price": price}, id=name) for name, price in prices])
    for rolled in (False, True):
        if rolled:
            await rolled_up(server)
        (found,) = await metered(api, "latest", period())
        assert told(found) == [("3",)]


async def test_a_meter_counts_what_came_before_it_and_what_comes_late(api: Api, server: Running) -> None:
    """It answers at once, by its groups and filters, and the same once it is ready."""
    await pay(api, *[(BEGIN + n * _HOUR, {"total": n, "shop": "a" if n % 2 else "b"}) for n in range(40)])
    await rolled_up(server)
    made = await meter(api, "revenue", measure("order.paid", "SUM", "total"), "shop")
    assert not made.HasField("ready_from_time")
    for rolled in (False, True):
        if rolled:
            await rolled_up(server)
            ready = (await api.event_queries.GetMeter(pb.GetMeterRequest(name="revenue"))).meter
            assert ready.HasField("ready_from_time")
        found = await metered(api, "revenue", period(), group_by=["shop"])
        assert {each.group[0].value: told(each) for each in found} == {
            "a": [("144",), ("256",)],
            "b": [("132",), ("248",)],
        }
        (chosen,) = await metered(api, "revenue", period("MONTH"), filters=[where("shop", "IN", "a")])
        assert sum(int(value) for (value,) in told(chosen)) == 400
    await pay(api, (BEGIN, {"total": 1000, "shop": "a"}))
    for rolled in (False, True):
        if rolled:
            await rolled_up(server)
        (total,) = await metered(api, "revenue", period())
        assert told(total)[0] == ("1276",)


async def test_what_a_deleted_subject_did_is_counted_no_longer(api: Api, server: Running) -> None:
    """Neither by events nor by a meter, at once and after rollups were brought up to date."""
    await meter(api, "visits", measure("page.seen"), "$subject")
    await sent(api, [event("page.seen", BEGIN, subject=who) for who in ("ann", "ann", "bob")])
    await rolled_up(server)
    await api.events.DeleteSubject(event_service_pb2.DeleteSubjectRequest(request_id=fresh(), subject="ann"))
    for rolled in (False, True):
        if rolled:
            await rolled_up(server)
        found = await metered(api, "visits", period(), group_by=["$subject"])
        assert (groups(found), told(found[0])) == ([["bob"]], [("1",)])


async def test_meters_are_made_changed_listed_and_deleted(api: Api) -> None:
    """A meter's description changes, and nothing else; a name is free again once its meter is deleted."""
    counted = measure("order.paid", "PERCENTILES", "total", percentiles=[50, 99], filters=[where("total", "LESS", "5")])
    made = await meter(api, "b.totals", counted, "shop", "$source")
    assert (made.measure, list(made.group_by)) == (counted, ["shop", "$source"])
    await meter(api, "a.orders", measure("order.paid"))
    changed = queries.Meter(name="b.totals", description="What orders come to", etag=made.etag)
    update = pb.UpdateMeterRequest(request_id=fresh(), meter=changed, update_mask=FieldMask(paths=["description"]))
    answer = (await api.event_queries.UpdateMeter(update)).meter
    assert (answer.description, answer.measure) == ("What orders come to", counted)
    first = await api.event_queries.ListMeters(pb.ListMetersRequest(page_size=1))
    rest = await api.event_queries.ListMeters(pb.ListMetersRequest(page_size=1, page_token=first.next_page_token))
    assert [each.name for each in (*first.meters, *rest.meters)] == ["a.orders", "b.totals"]
    assert rest.next_page_token == ""
    assert (
        await refusal(api.event_queries.DeleteMeter(pb.DeleteMeterRequest(name="b.totals", etag=made.etag)))
    ).reason == "ETAG_MISMATCH"
    await api.event_queries.DeleteMeter(pb.DeleteMeterRequest(name="b.totals", etag=answer.etag))
    assert (await refusal(api.event_queries.GetMeter(pb.GetMeterRequest(name="b.totals")))).reason == "METER_NOT_FOUND"
    await meter(api, "b.totals", measure("order.paid"))


async def test_one_meter_has_a_name(api: Api) -> None:
    """Of several that are made under one name at the same time, one is."""
    outcomes = await asyncio.gather(
        *(meter(api, "same", measure(f"type.{n}")) for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(each, queries.Meter) for each in outcomes) == 1
    refused = [each for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
    assert {each.code() for each in refused} == {grpc.StatusCode.ALREADY_EXISTS}


_WRONG: Mapping[str, tuple[dict[str, Any], str]] = {
    "unknown zone": ({"period": period(zone="Europe/Atlantis")}, "period.time_zone"),
    "backwards": ({"period": period(length=-_HOUR)}, "period.end_time"),
    "before 1970": ({"period": period(start=datetime.fromisoformat("1969-12-31T23:00Z"))}, "period.start_time"),
    "after 2200": ({"period": period(start=datetime.fromisoformat("2199-12-31T23:00Z"))}, "period.end_time"),
    "year 9999": ({"period": period(start=datetime.fromisoformat("9999-11-30T00:00Z"))}, "period.end_time"),
    "too many points": ({"period": period("MINUTE")}, "period"),
    "too many series": ({"period": period("HOUR"), "group_by": ["a"], "top": 100}, "period"),
    "property of a count": ({"measure": measure("a", name="b")}, "measure.property"),
    "sum of nothing": ({"measure": measure("a", "SUM")}, "measure.property"),
    "no key": ({"measure": measure("a", "SUM", "a..b")}, "measure.property"),
    "no attribute": ({"measure": measure("a", "SUM", "$id")}, "measure.property"),
    "no percentiles": ({"measure": measure("a", "PERCENTILES", "b")}, "measure.percentiles"),
    "percentiles of a sum": ({"measure": measure("a", "SUM", "b", percentiles=[50])}, "measure.percentiles"),
    "not a percentile": ({"measure": measure("a", "PERCENTILES", "b", percentiles=[100.5])}, "measure.percentiles[0]"),
    "NaN": (
        {"measure": measure("a", "PERCENTILES", "b", percentiles=[float("nan")])},
        "measure.percentiles[0]",
    ),
    "less than text": ({"measure": measure("a", filters=[where("b", "LESS", "NaN")])}, "measure.filters[0].values"),
    "less than much": ({"measure": measure("a", filters=[where("b", "LESS", "1e999")])}, "measure.filters[0].values"),
    "among nothing": ({"measure": measure("a", filters=[where("b", "IN")])}, "measure.filters[0].values"),
    "exists as": ({"measure": measure("a", filters=[where("b", "EXISTS", "c")])}, "measure.filters[0].values"),
    "twice": ({"group_by": ["a", "a"]}, "group_by"),
}


@pytest.mark.parametrize("wrong", _WRONG)
async def test_what_cannot_be_counted_is_refused_by_its_field(api: Api, wrong: str) -> None:
    """The refusal names the field that is wrong."""
    given, path = _WRONG[wrong]
    request = pb.QueryTimeSeriesRequest(**{"measure": measure("a"), "period": period(), **given})
    found = await refusal(api.event_queries.QueryTimeSeries(request))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert found.message.startswith(f"{path}: ")


async def test_a_meter_is_asked_only_by_what_it_is_grouped_by(api: Api) -> None:
    """What a meter did not keep apart cannot be told apart later."""
    await meter(api, "orders", measure("order.paid"), "shop")
    wrong: tuple[dict[str, Any], ...] = (
        {"group_by": ["plan"]},
        {"filters": [where("plan", "EXISTS")]},
        {"filters": [where("shop", "LESS", "5")]},
    )
    for given in wrong:
        assert (await refusal(metered(api, "orders", period(), **given))).reason == "FIELD_INVALID"


async def test_who_may_not_query_is_refused(server: Running) -> None:
    """A customer counts nothing, and whoever counts makes no meters."""
    customer, staff = await server.sign_in("customer"), await server.sign_in("staff")
    assert (await refusal(series(customer, measure("order.paid"), period()))).reason == "PERMISSION_MISSING"
    await series(staff, measure("order.paid"), period())
    assert (await refusal(meter(staff, "orders", measure("order.paid")))).reason == "PERMISSION_MISSING"


async def test_no_event_that_is_stored_keeps_others_from_being_counted(api: Api, server: Running) -> None:
    """Whatever JSON a source sends, odd as it may be: what is stored can be counted, grouped and rolled up."""
    await meter(api, "odd", measure("odd", "SUM", "a"), "a", "b.c")
    await meter(api, "odder", measure("odd", "DISTINCT", "a"), "$source")
    data = [
        *(r'{"a": "\ud800"}', r'{"a": "\udc00\ud800"}', r'{"a": "\ud83d\ude00"}', '{"a": 1e99999}', '{"a": -0.0}'),
        *('{"a": {"b": 1}}', '{"a": [1, [2]]}', "[1]", '"text"', "1", "true", '{"a": 1, "a": 2}', '{"": 3, "a": ""}'),
        *('{"a": ' + "9" * 5_000 + "}", '{"a": 1.' + "0" * 5_000 + "1}", '{"b": {"c": null}}', '{"b": 5}', ""),
        '{"a": ' + "[" * 50 + "]" * 50 + "}",
    ]
    events = [event("odd", BEGIN) for _ in data]
    for each, text in zip(events, data, strict=True):
        each.data = text
    answer = await api.events.IngestEvents(event_service_pb2.IngestEventsRequest(events=events))
    stored = sum(each.outcome == events_pb2.OUTCOME_STORED for each in answer.verdicts)
    assert stored > 10
    for rolled in (False, True):
        if rolled:
            await rolled_up(server)
        (found,) = await series(api, measure("odd"), period())
        assert told(found) == [(str(stored),)]
        await series(api, measure("odd"), period(), group_by=["a", "b.c", "$subject"], top=20)
        for aggregation in ("SUM", "DISTINCT", "LATEST", "MAX"):
            await series(api, measure("odd", aggregation, "a", filters=[where("a", "NOT_IN", "x")]), period())
        (total,) = await metered(api, "odd", period())
        assert total.points[0].values[0] == "2"
        await metered(api, "odder", period())
