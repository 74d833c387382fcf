"""Charts: what is drawn, by whom it is seen, and that nothing in it does anything."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as Xml

import httpx
import pytest

from backroom.events.v1 import event_query_service_pb2 as pb
from backroom.identity.v1 import access_service_pb2 as access_pb
from server.events.drawing import Chart, Dot, Line, csv_of_chart, lines_of, svg_of
from server.events.drawing.chart import scale_of, shown_number
from server.events.rules.windows import Granularity, buckets
from server.frame.local_time import time_zone
from tests.events.asking import BEGIN, event, fresh, measure, meter, period, sent
from tests.fixtures.servers import Api, Running, refusal

_SVG = "{http://www.w3.org/2000/svg}"
_EVIL = '<script>alert(1)</script> & "\x00\x1b[31m\ud7ff'


def drawn(*lines: tuple[str, list[float | None]], title: str = "Orders", zone: str = "Europe/Berlin") -> Chart:
    """A chart of hours of the night in which Berlin's clocks are set back."""
    start = datetime(2026, 10, 25, tzinfo=UTC)
    where = time_zone(zone)
    hours = buckets(where, Granularity.HOUR, start, start + timedelta(hours=len(lines[0][1])), most=100)
    made = [
        Line(
            name,
            [
                Dot(hour.start, hour.end, None if value is None else Decimal(str(value)), partial=place == 0)
                for place, (hour, value) in enumerate(zip(hours, values, strict=True))
            ],
        )
        for name, values in lines
    ]
    return Chart(title, Granularity.HOUR, where, made)


def test_a_picture_says_what_it_shows_without_being_seen() -> None:
    """It has a title, a description with the least and the greatest value, and labels at both axes."""
    picture = Xml.fromstring(svg_of(drawn(("", [3, 1, None, 40]))))  # noqa: S314 - our own
    assert picture.get("role") == "img"
    named = {each.get("id"): each.text or "" for each in picture if each.get("id")}
    assert picture.get("aria-labelledby", "").split() == list(named)
    assert named["title"] == "Orders"
    assert named["desc"] == (
        "By hour, in the time zone Europe/Berlin, from 2026-10-25 02:00 +0200 to 2026-10-25 04:00."
        " least 1 at 2026-10-25 02:00 +0100, greatest 40 at 2026-10-25 04:00, last 40. Pale ones are not whole."
    )
    texts = [each.text for each in picture.iter(f"{_SVG}text")]
    assert {"0", "10", "40", "By hour, Europe/Berlin", "2026-10-25 02:00 +0100"} <= set(texts)
    bars = [each for each in picture.iter(f"{_SVG}rect") if "bar" in each.get("class", "")]
    assert ["partial" in each.get("class", "") for each in bars] == [True, False, False]
    three, one, forty = (float(each.get("height", "")) for each in bars)
    assert [three, forty] == pytest.approx([3 * one, 40 * one])


def test_a_picture_is_readable_in_light_and_dark() -> None:
    """It brings colors for both, and lines that differ by more than their color."""
    picture = svg_of(drawn(("a", [1, 2]), ("b", [2, 1]))).decode()
    assert "prefers-color-scheme:dark" in picture
    assert picture.count("stroke-dasharray") == 2  # of the second line, and of its place in the legend


def test_nothing_in_a_picture_does_anything() -> None:
    """Titles and names are text, whatever is in them; there is no script, no link and nothing from elsewhere."""
    picture = svg_of(drawn((_EVIL, [1, 2]), ("b", [None, None]), title=_EVIL))
    read = Xml.fromstring(picture)  # noqa: S314 - our own
    assert {each.tag.removeprefix(_SVG) for each in read.iter()} <= {
        *("svg", "title", "desc", "style", "rect", "text", "line", "g", "polyline", "circle"),
    }
    assert not re.search(rb"href|url\(|@import|\son[a-z]+=", picture)


@pytest.mark.parametrize(
    ("values", "low", "high", "step"),
    [
        ([0], 0, 1, "0.2"),
        ([7, 93], 0, 100, "20"),
        ([-3, 4], -4, 4, "2"),
        ([-5], -5, 0, "1"),
        ([0.0003], 0, "0.0003", "0.0001"),
        ([1e300], 0, "1e300", "2e299"),
        ([None], 0, 1, "0.2"),
    ],
)
def test_a_scale_has_zero_and_round_numbers(values: list[float | None], low: object, high: object, step: str) -> None:
    """From a round number below all values to one above them."""
    scale = scale_of(drawn(("", values)))
    assert (scale.low, scale.high, scale.step) == (Decimal(str(low)), Decimal(str(high)), Decimal(step))
    assert len(scale.ticks()) <= 7


@pytest.mark.parametrize(
    ("value", "shown"),
    [("0", "0"), ("1234567.50", "1,234,567.5"), ("-0.25", "-0.25"), ("1e15", "1.000e+15"), ("0.00001", "1.000e-5")],
)
def test_numbers_are_shown_as_people_read_them(value: str, shown: str) -> None:
    assert shown_number(Decimal(value)) == shown


def test_a_terminal_shows_a_bar_for_each_bucket() -> None:
    """As long as asked for at most; the hour that comes twice is told apart, and what steers a terminal is not sent."""
    lines = list(lines_of(drawn(("", [4, 1, None, 2.5]), title=_EVIL), width=60))
    assert lines[1:] == [
        "by hour, Europe/Berlin",
        "2026-10-25 02:00 +0200*   4  " + "█" * 30,
        "2026-10-25 02:00 +0100    1  " + "█" * 7 + "▌",
        "2026-10-25 03:00          -",
        "2026-10-25 04:00        2.5  " + "█" * 18 + "▊",
        "* not whole",
    ]
    assert "\x1b" not in lines[0]
    plain = list(lines_of(drawn(("a", [-2, 2]), ("b", [1, None])), width=60, plain=True))
    assert all(line.isascii() for line in plain)
    assert [line[24:] for line in plain if line.startswith("2026")] == [
        "-2  " + "#" * 16,
        " 2  " + " " * 16 + "#" * 15,
        "1  " + " " * 16 + "#" * 8,
        "-",
    ]


def test_csv_has_a_row_for_each_bucket_and_no_formula() -> None:
    """A column for each line; a name that a spreadsheet would reckon with is made text."""
    rows = csv_of_chart(drawn(("=1+1", [4, None]), ("b", [-0.5, 2]))).decode().split("\r\n")
    assert rows == [
        "start_time,end_time,local_start,partial,'=1+1,b",
        "2026-10-25T00:00:00+00:00,2026-10-25T01:00:00+00:00,2026-10-25T02:00:00+02:00,true,4,-0.5",
        "2026-10-25T01:00:00+00:00,2026-10-25T02:00:00+00:00,2026-10-25T02:00:00+01:00,false,,2",
        "",
    ]


@pytest.fixture
async def api(server: Running) -> Api:
    return await server.sign_in("admin")


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.http, timeout=60) as client:
        yield client


async def linked(api: Api, **rest: object) -> str:
    request = pb.CreateChartLinkRequest(request_id=fresh(), **rest)  # type: ignore[arg-type]
    path: str = (await api.event_queries.CreateChartLink(request)).path
    return path


async def test_whoever_has_a_link_sees_the_chart_and_its_numbers(api: Api, http: httpx.AsyncClient) -> None:
    """Drawn anew each time; a client that has it already is told so."""
    await sent(api, [event("order.paid", BEGIN, {"total": 12.5, "plan": "<b>"})])
    query = pb.QueryTimeSeriesRequest(
        measure=measure("order.paid", "SUM", "total"), period=period(length=timedelta(days=2)), group_by=["plan"]
    )
    path = await linked(api, time_series=query)
    answer = await http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml; charset=utf-8")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert '<title id="title">Sum of total of order.paid</title>' in answer.text
    known = {"if-none-match": answer.headers["etag"]}
    assert (await http.get(path, headers=known)).status_code == 304
    table = await http.get(path.replace("chart.svg", "series.csv"))
    assert table.headers["content-type"].startswith("text/csv")
    assert [row.split(",")[-1] for row in table.text.split("\r\n")[:-1]] == ["<b>", "12.5", "0"]
    await sent(api, [event("order.paid", BEGIN, {"total": 1, "plan": "<b>"})])
    assert (await http.get(path, headers=known)).status_code == 200


async def test_a_link_that_follows_shows_the_last_days(api: Api, http: httpx.AsyncClient) -> None:
    """Its period is as long as it was, and ends when it is asked for."""
    await meter(api, "orders", measure("order.paid"))
    old = period(start=BEGIN - timedelta(days=300), length=timedelta(days=40))
    path = await linked(api, meter=pb.QueryMeterRequest(name="orders", period=old), ends_now=True, title="Last days")
    await sent(api, [event("order.paid", datetime.now(UTC))])
    table = await http.get(path.replace("chart.svg", "series.csv"))
    rows = table.text.split("\r\n")[1:-1]
    assert (len(rows), rows[-1].split(",")[3:]) == (41, ["true", "1"])


async def test_a_link_ends_with_the_right_to_query(server: Running, http: httpx.AsyncClient) -> None:
    """Whoever may query no longer shows nothing more to others; a link that was changed shows nothing either."""
    admin, staff = await server.sign_in("admin"), await server.sign_in("staff")
    query = pb.QueryTimeSeriesRequest(measure=measure("order.paid"), period=period())
    path = await linked(staff, time_series=query)
    assert (await http.get(path)).status_code == 200
    for wrong in (path[:-2], path + "x", "/events/chart.svg", path.replace("link=", "link=A")):
        answer = await http.get(wrong)
        assert (answer.status_code, answer.text) == (404, "No chart is here: ask for a new link.\n")
    revoke = access_pb.RevokeRoleRequest(account_id=str(staff.account_id), role="staff")
    await admin.access.RevokeRole(revoke)
    assert (await http.get(path)).status_code == 404


async def test_a_link_is_made_once_and_of_nothing_that_cannot_be_asked(api: Api) -> None:
    """A repeated request gets the same link; what is invalid, unknown or too long gets none."""
    query = pb.QueryTimeSeriesRequest(measure=measure("order.paid"), period=period())
    request = pb.CreateChartLinkRequest(request_id=fresh(), time_series=query)
    answers = [await api.event_queries.CreateChartLink(request) for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(parse_qs(urlsplit(answers[0].path).query)["link"]) == 1
    wrong = pb.QueryTimeSeriesRequest(measure=measure("order.paid", "SUM"), period=period())
    found = await refusal(api.event_queries.CreateChartLink(pb.CreateChartLinkRequest(time_series=wrong)))
    assert found.reason == "FIELD_INVALID"
    gone = pb.QueryMeterRequest(name="none", period=period())
    found = await refusal(api.event_queries.CreateChartLink(pb.CreateChartLinkRequest(meter=gone)))
    assert found.reason == "METER_NOT_FOUND"
    query.group_by.extend(f"{n}{'x' * 190}" for n in range(3))
    query.measure.event_type = "y" * 100
    long = pb.CreateChartLinkRequest(time_series=query, title="ü" * 200)
    found = await refusal(api.event_queries.CreateChartLink(long))
    assert found.fields.keys() == {"query"}
