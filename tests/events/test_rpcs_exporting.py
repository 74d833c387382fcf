"""Stored events as files."""

import csv
import io
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from arro3.io import read_parquet

from backroom.events.v1 import event_service_pb2 as pb
from server.events.rules.exporting import COLUMNS
from server.events.service import SlowReadings
from server.events.service.exporting import PIECE_BYTES, ExportFormat, Exporting
from storage.database import Database
from storage.events.records import EventFilter
from storage.events.store import EVENTS
from tests.events.calling import ago, event, verdicts
from tests.fixtures.servers import Api, Running, refusal

CSV, PARQUET = pb.EXPORT_FORMAT_CSV, pb.EXPORT_FORMAT_PARQUET


async def exported(api: Api, **wanted: Any) -> Sequence[pb.ExportEventsResponse]:
    request = pb.ExportEventsRequest(**{"format": CSV, **wanted})
    return [piece async for piece in api.events.ExportEvents(request)]


def rows(pieces: Sequence[pb.ExportEventsResponse]) -> list[dict[str, str]]:
    assert {piece.file_number for piece in pieces} == {1}
    text = b"".join(piece.content for piece in pieces).decode()
    reader = csv.DictReader(io.StringIO(text, newline=""))
    assert reader.fieldnames == [*COLUMNS]
    return [*reader]


def table(content: bytes) -> list[dict[str, Any]]:
    batches = read_parquet(io.BytesIO(content)).read_all().to_batches()
    return [
        {name: batch.column(name)[place].as_py() for name in COLUMNS}
        for batch in batches
        for place in range(batch.num_rows)
    ]


async def test_each_event_is_a_row_of_csv(admin: Api) -> None:
    """In the order in which they happened, with their digits; a text that could be a formula is made harmless."""
    first = event(time=ago(days=2), id="=1+1", data='{"n": 1.50, "text": "a\\n\\"b\\""}', attributes={"region": "emea"})
    second = event(time=ago(days=1), subject="anna")
    await verdicts(admin, second, first)
    pieces = await exported(admin)
    one, other = rows(pieces)
    assert (one["id"], one["data"], one["attributes"]) == ("'=1+1", first.data, '{"region":"emea"}')
    assert datetime.fromisoformat(one["time"]) == first.time.ToDatetime(UTC)
    assert (other["id"], other["subject"], other["data"], other["attributes"]) == (second.id, "anna", "", "")
    assert (pieces[-1].exported_events, pieces[-1].estimated_events) == (2, 2)


async def test_a_filter_and_a_period_choose_the_events(admin: Api) -> None:
    """As they do for a list; of nothing there is a header, and no estimate is left at the end."""
    old, new = event(time=ago(days=2), type="a"), event(time=ago(hours=1), type="b", subject="anna")
    await verdicts(admin, old, new)
    chosen = pb.EventFilter(types=["b"])
    assert [row["id"] for row in rows(await exported(admin, filter=chosen))] == [new.id]
    assert [row["id"] for row in rows(await exported(admin, filter=pb.EventFilter(subject="anna")))] == [new.id]
    assert [row["id"] for row in rows(await exported(admin, end_time=new.time))] == [old.id]
    assert [row["id"] for row in rows(await exported(admin, start_time=new.time))] == [new.id]
    nothing = await exported(admin, filter=pb.EventFilter(source="/other"))
    assert (rows(nothing), nothing[-1].estimated_events) == ([], 0)


async def test_files_of_parquet_have_the_same_columns(admin: Api) -> None:
    """Times are times, and the rest is text."""
    sent = event(time=ago(days=2), data='{"n": 1.50}', attributes={"region": "emea"}, subject="=anna")
    await verdicts(admin, sent)
    pieces = await exported(admin, format=PARQUET)
    (row,) = table(b"".join(piece.content for piece in pieces))
    assert row["time"] == sent.time.ToDatetime(UTC)
    texts = {name: row[name] for name in ("type", "source", "id", "subject", "data", "attributes")}
    assert texts == {
        "type": sent.type,
        "source": sent.source,
        "id": sent.id,
        "subject": "=anna",
        "data": '{"n": 1.50}',
        "attributes": '{"region":"emea"}',
    }


async def test_without_the_extra_parquet_is_refused_by_name(admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """CSV needs nothing."""
    monkeypatch.delitem(sys.modules, "server.events.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "arro3.core", None)
    found = await refusal(exported(admin, format=PARQUET))
    assert (found.reason, found.code.name) == ("PARQUET_NOT_INSTALLED", "FAILED_PRECONDITION")
    assert "backroom[parquet]" in found.message
    assert rows(await exported(admin)) == []


async def test_a_long_export_comes_in_pages_files_and_pieces(server: Running, database: Database) -> None:
    """Each event once, whether several happened at one time or not; the progress never goes back."""
    admin, moment = await server.sign_in("admin"), ago(hours=1)
    sent = [event(time=moment, data=f'"{"x" * 60_000}"') for _ in range(25)]
    for each in sent:
        await verdicts(admin, each)
    exporting = Exporting(SlowReadings(database.store(EVENTS)), page_size=7, file_events=10)
    for kind, files in ((ExportFormat.CSV, 1), (ExportFormat.PARQUET, 2)):
        pieces = [piece async for piece in exporting.export(EventFilter(), (None, None), kind)]
        assert max(len(piece.content) for piece in pieces) <= PIECE_BYTES
        assert {piece.file_number for piece in pieces} == set(range(1, files + 1))
        progress = [piece.exported for piece in pieces]
        assert progress == sorted(progress)
        assert (pieces[-1].exported, pieces[-1].estimated) == (25, 25)
        contents = [b"".join(p.content for p in pieces if p.file_number == number + 1) for number in range(files)]
        if kind is ExportFormat.CSV:
            csv.field_size_limit(1_000_000)
            found = [row["id"] for row in csv.DictReader(io.StringIO(contents[0].decode(), newline=""))]
        else:
            found = [row["id"] for content in contents for row in table(content)]
        assert found == [each.id for each in sent]


async def test_a_file_of_parquet_ends_with_much_data_or_many_attributes(
    server: Running, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in memory until it is whole, and an event may have all of its 64 KiB in either."""
    monkeypatch.setattr("server.events.service.exporting._FILE_BYTES", 3_000)
    admin = await server.sign_in("admin")
    await verdicts(admin, *(event(time=ago(hours=1), data=f'"{"x" * 1_000}"') for _ in range(4)))
    await verdicts(admin, *(event(time=ago(), attributes={"a": "x" * 1_000}) for _ in range(4)))
    exporting = Exporting(SlowReadings(database.store(EVENTS)), page_size=1)
    pieces = [piece async for piece in exporting.export(EventFilter(), (None, None), ExportFormat.PARQUET)]
    files = [b"".join(piece.content for piece in pieces if piece.file_number == number) for number in (1, 2, 3)]
    assert [len(table(content)) for content in files] == [3, 3, 2]


async def test_the_estimate_is_that_of_the_planner(server: Running, database: Database) -> None:
    """Nothing is read for it; it may be wrong, and never less than what was exported."""
    admin = await server.sign_in("admin")
    await verdicts(admin, *(event(time=ago(hours=1)) for _ in range(300)))
    async with database.store(EVENTS).reading() as reading:
        wanted = EventFilter(frozenset({"order.placed"}), "/shop", "it's % :x")
        assert await reading.exports.estimate(EventFilter(), (None, None)) > 0
        assert await reading.exports.estimate(wanted, (ago(days=1), ago())) >= 0
    pieces = await exported(admin)
    assert all(piece.exported_events <= piece.estimated_events for piece in pieces)
    assert pieces[-1].exported_events == 300
