"""Events that come in: each its verdict, each stored once."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import text

from backroom.events.v1 import event_service_pb2 as pb
from backroom.events.v1 import events_pb2
from storage.store import FRAME
from tests.events.calling import (
    ago,
    broken_laws,
    event,
    fresh,
    listed,
    outcomes,
    refused_events,
    streamed,
    verdicts,
)
from tests.fixtures.servers import Api, Running, refusal

_FUTURE = datetime.now(UTC) + timedelta(days=2)
_SOON = datetime.now(UTC) + timedelta(minutes=5)

CORPUS: Mapping[str, tuple[dict[str, Any], str]] = {
    "a plain event": ({}, "stored"),
    "a time in the year 1": ({"time": datetime(1, 1, 1, tzinfo=UTC)}, "too_old"),
    "a time in the year 9999": ({"time": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)}, "too_far_ahead"),
    "a time beyond the bound": ({"time": _FUTURE}, "too_far_ahead"),
    "a time a little ahead": ({"time": _SOON}, "stored"),
    "a time before the retention": ({"time": ago(days=401)}, "too_old"),
    "a time long ago": ({"time": ago(days=399)}, "stored"),
    "a megabyte of data": ({"data": '"' + "x" * 1_000_000 + '"'}, "too_large"),
    "a megabyte of attributes": ({"attributes": {"note": "x" * 1_000_000}}, "too_large"),
    "as much data as may be": ({"data": '"' + "x" * 65_534 + '"'}, "stored"),
    "a byte more": ({"data": '"' + "x" * 65_535 + '"'}, "too_large"),
    "few characters of many bytes": ({"data": '"' + "\N{PILE OF POO}" * 16_384 + '"'}, "too_large"),
    "NaN": ({"data": '{"amount": NaN}'}, "data_malformed"),
    "Infinity": ({"data": '{"amount": -Infinity}'}, "data_malformed"),
    "a number that no double holds": ({"data": '{"amount": 1e999}'}, "data_malformed"),
    "minus zero": ({"data": '{"amount": -0.0}'}, "stored"),
    "thirty digits": ({"data": '{"amount": 123456789012345678901234567890.12345}'}, "stored"),
    "data that is no JSON": ({"data": "{"}, "data_malformed"),
    "data of spaces": ({"data": "   "}, "data_malformed"),
    "NUL in the data": ({"data": '{"name": "a\\u0000b"}'}, "data_malformed"),
    "NUL in a name of the data": ({"data": '{"a\\u0000b": 1}'}, "data_malformed"),
    "a backslash before u0000": ({"data": '{"name": "a\\\\u0000b"}'}, "stored"),
    "half a surrogate pair": ({"data": '"\\ud800"'}, "data_malformed"),
    "a thousand levels": ({"data": "[" * 1_000 + "]" * 1_000}, "stored"),
    "too many levels": ({"data": "[" * 5_000 + "]" * 5_000}, "data_malformed"),
    "one name twice": ({"data": '{"a": 1, "a": 2}'}, "stored"),
    "NUL in the id": ({"id": "a\0b"}, "field_invalid"),
    "NUL in the type": ({"type": "a\0b"}, "field_invalid"),
    "NUL in the source": ({"source": "/a\0b"}, "field_invalid"),
    "NUL in the subject": ({"subject": "a\0b"}, "field_invalid"),
    "NUL in an attribute": ({"attributes": {"note": "a\0b"}}, "field_invalid"),
    "NUL in an attribute's name": ({"attributes": {"a\0b": "note"}}, "field_invalid"),
    "a line break in the id": ({"id": "a\nb"}, "field_invalid"),
    "no id": ({"id": ""}, "field_invalid"),
    "no source": ({"source": ""}, "field_invalid"),
    "no type": ({"type": ""}, "field_invalid"),
    "an id that is too long": ({"id": "x" * 201}, "field_invalid"),
    "an id that is as long as may be": ({"id": "\N{PILE OF POO}" * 199 + fresh()[:1]}, "stored"),
    "a subject that is too long": ({"subject": "x" * 201}, "field_invalid"),
    "a subject that joins characters": ({"subject": "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{ROCKET}"}, "stored"),
    "a space in the source": ({"source": "/my shop"}, "field_invalid"),
    "a space in the type": ({"type": "order placed"}, "field_invalid"),
    "a source of the server's own": ({"source": "/backroom/orders"}, "source_reserved"),
    "a source that begins like it": ({"source": "/backrooms"}, "stored"),
    "an attribute in capitals": ({"attributes": {"Note": "x"}}, "field_invalid"),
    "an attribute by a field's name": ({"attributes": {"subject": "x"}}, "field_invalid"),
    "too many attributes": ({"attributes": {f"a{each}": "x" for each in range(33)}}, "field_invalid"),
    "attributes": ({"attributes": {"traceparent": "00-1-2", "note": ""}}, "stored"),
}
"""What is sent, and what becomes of it."""


def corpus() -> list[events_pb2.Event]:
    return [event(**{"id": fresh(), **fields}) for fields, _ in CORPUS.values()]


async def test_each_event_of_a_hostile_batch_has_its_verdict(server: Running, service: Api) -> None:
    """None stops the others, by a call or by a stream; what is refused is kept with its reason."""
    large = {"a megabyte of data", "a megabyte of attributes"}
    sent = dict(zip(CORPUS, corpus(), strict=True))
    small = [each for name, each in sent.items() if name not in large]
    expected = {name: outcome for name, (_, outcome) in CORPUS.items()}
    answered = await streamed(service, [small, *([sent[name]] for name in sorted(large)), [event()]])
    assert answered[0] == [outcome for name, outcome in expected.items() if name not in large]
    assert answered[1:] == [["too_large"], ["too_large"], ["stored"]]
    again = await outcomes(service, *small)
    assert again == ["duplicate" if outcome == "stored" else outcome for outcome in answered[0]]
    kept = await refused_events(service)
    assert len(kept) == sum(outcome != "stored" for outcome in expected.values())
    assert {each.attempts for each in kept} == {1, 2}
    assert {each.truncated for each in kept if each.reason == events_pb2.REFUSAL_REASON_TOO_LARGE} == {True}
    assert not await broken_laws(server)


async def test_times_that_no_calendar_has_are_refused_one_by_one(service: Api) -> None:
    """Neither a second before the year 1, nor a second with too many nanos, makes the whole batch invalid."""
    odd = [event() for _ in range(4)]
    odd[0].time.CopyFrom(Timestamp(seconds=-62_135_596_801))
    odd[1].time.CopyFrom(Timestamp(seconds=253_402_300_800))
    odd[2].time.CopyFrom(Timestamp(seconds=int(ago().timestamp()), nanos=1_000_000_000))
    assert await outcomes(service, *odd) == ["time_invalid"] * 3 + ["stored"]


async def test_what_is_stored_is_what_was_sent(service: Api) -> None:
    """Numbers keep their digits, and a time its microseconds; without a time, that of reception counts."""
    time = ago(hours=1).replace(microsecond=123_456)
    data = '{"amount": 0.10000000000000000001, "minus": -0.0, "big": 123456789012345678901234567890}'
    sent = event(time=time, subject="Jane Doe", data=data, attributes={"dataschema": "/a", "b": ""})
    bare = event(type="order.other")
    assert await outcomes(service, sent, bare) == ["stored", "stored"]
    found = {each.id: each for each in await listed(service)}
    assert found[bare.id].time == found[bare.id].receive_time
    for each in found.values():
        assert each.HasField("receive_time")
        each.ClearField("receive_time")
    assert found[sent.id] == sent
    found[bare.id].ClearField("time")
    assert found[bare.id] == bare


async def test_the_same_event_is_stored_once(server: Running, service: Api) -> None:
    """Whether it comes again in the same batch, in another one, or from another caller."""
    one, other = event(data='{"a": 1}'), event(data='{"a": 1}')
    changed = events_pb2.Event()
    changed.CopyFrom(one)
    changed.data = '{"a": 2}'
    assert await outcomes(service, one, one, changed, other) == ["stored", "duplicate", "conflict", "stored"]
    another = await server.sign_in("admin")
    assert await outcomes(another, changed, other, one) == ["conflict", "duplicate", "duplicate"]
    assert [each.data for each in await listed(service)] == ['{"a": 1}', '{"a": 1}']
    assert not await broken_laws(server)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "order.paid"},
        {"subject": "x"},
        {"data": "{}"},
        {"attributes": {"a": "b"}},
        {"time": Timestamp(seconds=int(ago(hours=1).timestamp()))},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_any_other_content_is_a_conflict(service: Api, change: Mapping[str, Any]) -> None:
    """What was stored first stays."""
    sent = event()
    other = events_pb2.Event(**{"id": sent.id, "source": sent.source, "type": sent.type, **change})
    assert await outcomes(service, sent) == ["stored"]
    assert await outcomes(service, other, sent) == ["conflict", "duplicate"]


async def test_one_id_of_two_sources_is_two_events(service: Api) -> None:
    """Also where the two together read the same."""
    sent = [event(source="/a", id="b"), event(source="/a/b", id="b"), event(source="/a", id="b/b")]
    assert await outcomes(service, *sent) == ["stored"] * 3


async def test_an_event_without_a_time_is_the_same_whenever_it_comes(service: Api) -> None:
    """The time of reception is no content of it."""
    sent = event()
    assert await outcomes(service, sent) == ["stored"]
    assert await outcomes(service, sent) == ["duplicate"]


async def test_a_batch_is_1_to_5000_events(service: Api) -> None:
    """Otherwise the call is refused, which names the number."""
    for count in (0, 5_001):
        found = await refusal(verdicts(service, *[event(id=str(each)) for each in range(count)]))
        assert [*found.fields] == ["events"], count
    assert await outcomes(service, *[event(id=str(each)) for each in range(5_000)]) == ["stored"] * 5_000


async def test_a_stream_ends_at_a_batch_that_cannot_be_taken(service: Api) -> None:
    """The batches before it are answered, and stored."""
    sent = [event() for _ in range(3)]

    async def requests() -> Any:
        yield pb.StreamEventsRequest(events=sent)
        yield pb.StreamEventsRequest()

    answers = aiter(service.events.StreamEvents(requests()))
    assert len((await anext(answers)).verdicts) == 3
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await anext(answers)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await outcomes(service, *sent) == ["duplicate"] * 3


async def test_a_stream_that_broke_off_is_sent_again(server: Running, service: Api) -> None:
    """What was stored of it is a duplicate, and the rest is stored."""
    batches = [[event() for _ in range(50)] for _ in range(20)]

    async def requests() -> Any:
        for batch in batches:
            yield pb.StreamEventsRequest(events=batch)

    call = service.events.StreamEvents(requests())
    first = await anext(aiter(call))
    call.cancel()
    assert len(first.verdicts) == 50
    again = await streamed(service, batches)
    assert again[0] == ["duplicate"] * 50
    assert {outcome for batch in again for outcome in batch} <= {"stored", "duplicate"}
    assert len(await listed(service)) == 1_000
    assert not await broken_laws(server)


async def test_events_of_many_days_have_partitions_of_their_own(service: Api) -> None:
    """They are made as the events come, and the list reads them in order."""
    days = [ago(days=each) for each in range(60, 0, -7)]
    sent = [event(time=day, id=day.isoformat()) for day in days]
    assert await outcomes(service, *sent) == ["stored"] * len(days)
    assert [each.id for each in await listed(service)] == [day.isoformat() for day in reversed(days)]


async def test_only_a_sender_may_send(server: Running, customer: Api) -> None:
    """Neither customers nor staff."""
    for api in (customer, await server.sign_in("staff")):
        assert (await refusal(verdicts(api, event()))).reason == "PERMISSION_MISSING"


async def test_calls_that_come_together_share_transactions(server: Running, service: Api) -> None:
    """Each gets its own verdicts."""
    sent = [event() for _ in range(40)]
    answers = await asyncio.gather(*(outcomes(service, each, event(id="")) for each in sent))
    assert answers == [["stored", "field_invalid"]] * 40
    async with server.database.store(FRAME).transaction() as tx:
        batches = (await tx._connection.execute(text("SELECT count(*) FROM events.batches"))).scalar_one()
    assert 0 < batches < 40
