"""`backroom events chart`: a series, as the running server answers it, in the terminal and as CSV."""

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from backroom.identity.v1 import access_service_pb2 as access_pb
from backroom.identity.v1 import accounts_pb2
from tests.events.asking import BEGIN, event, fresh, measure, meter, sent
from tests.fixtures.servers import Running
from tests.process.commands import Finished, backroom_here

Chart = Callable[..., Awaitable[Finished]]


@pytest.fixture
async def chart(capsys: pytest.CaptureFixture[str], server: Running) -> Chart:
    """Runs the command beside a server that has some events."""
    admin = await server.sign_in("admin")
    account = accounts_pb2.ServiceAccount(name=fresh(), roles=["service"])
    request = access_pb.CreateServiceAccountRequest(request_id=fresh(), service_account=account)
    key = (await admin.access.CreateServiceAccount(request)).secret
    paid = [(0, 12.5, "a"), (0, 7.5, "b"), (26, 5, "a"), (49, 1, "a")]
    await sent(admin, [event("order.paid", BEGIN + timedelta(hours=at), {"total": n, "shop": s}) for at, n, s in paid])
    await meter(admin, "revenue", measure("order.paid", "SUM", "total"), "shop")
    settings = {"BACKROOM_GRPC_ADDRESS": server.address, "BACKROOM_API_KEY": key, "COLUMNS": "60"}
    days = ("--from", f"{BEGIN:%Y-%m-%d}", "--to", f"{BEGIN + timedelta(days=2):%Y-%m-%d}")

    async def run(*arguments: str) -> Finished:
        return await asyncio.to_thread(backroom_here, capsys, "events", "chart", *arguments, *days, **settings)

    return run


def day(number: int) -> str:
    return f"{BEGIN + timedelta(days=number):%Y-%m-%d}"


async def test_a_series_is_drawn_in_the_terminal(chart: Chart) -> None:
    """A bar for each day, with its number."""
    said = await chart("order.paid", "--aggregation", "sum", "--of", "total")
    assert (said.code, said.err) == (0, "")
    title, every, *bars = said.out.splitlines()
    assert (title, every) == ("Sum of total of order.paid", "by day, UTC")
    assert [line.split()[:2] for line in bars] == [[day(0), "20"], [day(1), "5"], [day(2), "1"]]
    assert max(map(len, bars)) <= 60
    lengths = [line.count("█") for line in bars]
    assert lengths == sorted(lengths, reverse=True)


async def test_a_meter_is_printed_as_csv_by_its_groups(chart: Chart) -> None:
    """The numbers as they are, and a column for each group."""
    said = await chart("--meter", "revenue", "--group-by", "shop", "--csv", "--zone", "Europe/Berlin")
    assert (said.code, said.err) == (0, "")
    header, *rows = csv.reader(io.StringIO(said.out))
    assert header == ["start_time", "end_time", "local_start", "partial", "a", "b"]
    assert [(row[2][:10], *row[4:]) for row in rows] == [
        (day(0), "12.5", "7.5"),
        (day(1), "5", "0"),
        (day(2), "1", "0"),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "events chart: name a type of events, or a meter by --meter"),
        (("order.paid", "--meter", "revenue"), "events chart: name a type of events, or a meter by --meter"),
        (("order.paid", "--aggregation", "total"), "--aggregation: 'total' is none of count, sum, average, min, max,"),
        (("order.paid", "--by", "second"), "--by: 'second' is none of minute, hour, day, week, month, quarter, year"),
        (("order.paid", "--zone", "+02:00"), "--zone: '+02:00' is an offset, and not a time zone"),
        (("order.paid", "--aggregation", "sum"), "measure.property: is required (INVALID_ARGUMENT)"),
        (("--meter", "none"), "There is no meter none. (NOT_FOUND)"),
    ],
)
async def test_what_cannot_be_drawn_is_said_in_one_line(chart: Chart, arguments: tuple[str, ...], said: str) -> None:
    """With exit code 1, and nothing is drawn."""
    ended = await chart(*arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert said in ended.err
