"""Types that are declared, and events that were refused."""

from typing import Any

import pytest

from backroom.events.v1 import event_type_service_pb2 as pb
from backroom.events.v1 import event_types_pb2, events_pb2
from tests.events.calling import (
    LENIENT,
    STRICT,
    ago,
    broken_laws,
    declared,
    event,
    fresh,
    listed,
    outcomes,
    refused_events,
    retried,
    update,
    verdicts,
)
from tests.fixtures.servers import Api, Running, refusal

SCHEMA = '{"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number", "minimum": 0}}}'


async def found(api: Api, kind: str) -> event_types_pb2.EventType:
    answer: event_types_pb2.EventType = (
        await api.event_types.GetEventType(pb.GetEventTypeRequest(type=kind))
    ).event_type
    return answer


async def test_a_type_is_declared_changed_and_taken_back(service: Api) -> None:
    """Each change has an etag of its own."""
    made = await declared(service, "order.paid", SCHEMA, description="An order was paid.")
    assert made.mode == STRICT
    assert await found(service, "order.paid") == made
    changed = (await service.event_types.UpdateEventType(update("order.paid", mode=LENIENT, etag=made.etag))).event_type
    assert (changed.mode, changed.schema) == (LENIENT, SCHEMA)
    late = update("order.paid", schema="", etag=made.etag)
    assert (await refusal(service.event_types.UpdateEventType(late))).reason == "ETAG_MISMATCH"
    again = pb.CreateEventTypeRequest(event_type=event_types_pb2.EventType(type="order.paid"))
    assert (await refusal(service.event_types.CreateEventType(again))).reason == "EVENT_TYPE_EXISTS"
    await service.event_types.DeleteEventType(pb.DeleteEventTypeRequest(request_id=fresh(), type="order.paid"))
    assert (await refusal(found(service, "order.paid"))).reason == "EVENT_TYPE_NOT_FOUND"
    gone = update("order.paid", schema="")
    assert (await refusal(service.event_types.UpdateEventType(gone))).reason == "EVENT_TYPE_NOT_FOUND"


async def test_types_are_listed_by_name(service: Api) -> None:
    """In ASCII order, page by page."""
    names = ["b", "B", "a.b", "a", "a-b"]
    for name in names:
        await declared(service, name)
    request, seen = pb.ListEventTypesRequest(page_size=2), []
    while True:
        page = await service.event_types.ListEventTypes(request)
        seen += [each.type for each in page.event_types]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == sorted(names)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"type": ""}, "event_type.type"),
        ({"type": "order paid"}, "event_type.type"),
        ({"type": "a", "description": "x" * 1_001}, "event_type.description"),
        ({"type": "a", "schema": f'{{"title": "{"x" * 65_536}"}}'}, "event_type.schema"),
    ],
)
async def test_a_malformed_declaration_is_refused(service: Api, fields: dict[str, Any], path: str) -> None:
    """It names the field."""
    request = pb.CreateEventTypeRequest(event_type=event_types_pb2.EventType(**fields))
    assert [*(await refusal(service.event_types.CreateEventType(request))).fields] == [path]


async def test_a_schema_that_is_none_is_refused(service: Api) -> None:
    """With what is wrong, for a new type and for a change."""
    await declared(service, "a")
    for schema in ("{", "5", '{"type": "nothing"}', '{"$ref": "https://example.com/a"}'):
        request = pb.CreateEventTypeRequest(event_type=event_types_pb2.EventType(type="b", schema=schema))
        for call in (
            service.event_types.CreateEventType(request),
            service.event_types.UpdateEventType(update("a", schema=schema)),
        ):
            refused = await refusal(call)
            assert (refused.reason, bool(refused.metadata["problem"])) == ("SCHEMA_INVALID", True), schema


async def test_a_strict_type_refuses_what_does_not_match(service: Api) -> None:
    """And keeps it, with what is wrong with what."""
    await declared(service, "order.paid", SCHEMA)
    data = ['{"amount": 1}', '{"amount": -1}', "{}", "[]", "", '{"amount": "1"}']
    sent = [event(type="order.paid", data=each) for each in data]
    assert await outcomes(service, *sent) == ["stored"] + ["schema_mismatch"] * 5
    kept = await refused_events(service, filter=pb.RefusedEventFilter(type="order.paid"))
    assert {each.event.id for each in kept} == {each.id for each in sent[1:]}
    messages = {each.event.data: each.message for each in kept}
    assert messages['{"amount": -1}'].startswith("data.amount: ")
    assert '"amount"' in messages["{}"]


async def test_a_lenient_type_stores_and_says_what_differs(service: Api) -> None:
    """The remark is for the sender alone."""
    await declared(service, "order.paid", SCHEMA, mode=LENIENT)
    one = event(type="order.paid", data='{"amount": -1}')
    answers = await verdicts(service, one, event(type="order.paid", data='{"amount": 1}'))
    assert [each.outcome for each in answers] == [events_pb2.OUTCOME_STORED] * 2
    assert [bool(each.message) for each in answers] == [True, False]
    assert await outcomes(service, one) == ["duplicate"]
    assert len(await listed(service)) == 2


async def test_a_change_of_a_type_counts_for_what_comes_then(server: Running, service: Api) -> None:
    """At once on the server that made it."""
    one = event(type="order.paid", data="{}")
    await declared(service, "order.paid", SCHEMA)
    assert await outcomes(service, one) == ["schema_mismatch"]
    await service.event_types.UpdateEventType(update("order.paid", schema=""))
    assert await outcomes(service, one) == ["stored"]
    assert not await broken_laws(server)


async def test_refused_events_are_retried_after_a_mend(server: Running, service: Api) -> None:
    """What passes leaves the list; what does not stays with the newer reason and one attempt more."""
    await declared(service, "order.paid", SCHEMA)
    kept = [event(type="order.paid", data=f'{{"amount": -{each}}}', time=ago(days=each)) for each in range(1, 6)]
    other = event(type="order.paid", data="[]")
    assert set(await outcomes(service, *kept, other, event(id=""))) == {"schema_mismatch", "field_invalid"}
    await service.event_types.UpdateEventType(update("order.paid", schema='{"type": "object"}'))
    request_id = fresh()
    wanted = pb.RefusedEventFilter(type="order.paid")
    answer = await retried(service, request_id=request_id, filter=wanted)
    assert (answer.stored, answer.duplicates, answer.conflicts, answer.refused) == (5, 0, 0, 1)
    assert await retried(service, request_id=request_id, filter=wanted) == answer
    assert {each.id for each in await listed(service)} == {each.id for each in kept}
    (left,) = await refused_events(service, filter=wanted)
    assert (left.event, left.attempts) == (other, 2)
    assert len(await refused_events(service)) == 2
    assert await outcomes(service, *kept) == ["duplicate"] * 5
    assert not await broken_laws(server)


async def test_a_retry_of_what_was_stored_meanwhile_is_a_duplicate_or_a_conflict(service: Api) -> None:
    """Either leaves the list."""
    await declared(service, "order.paid", SCHEMA)
    one, two = event(type="order.paid", data="{}"), event(type="order.paid", data="{}")
    await outcomes(service, one, two)
    await service.event_types.UpdateEventType(update("order.paid", schema=""))
    changed = events_pb2.Event()
    changed.CopyFrom(two)
    changed.data = "[]"
    assert await outcomes(service, one, changed) == ["stored", "stored"]
    answer = await retried(service)
    assert (answer.stored, answer.duplicates, answer.conflicts, answer.refused) == (0, 1, 1, 0)
    assert await refused_events(service) == []


async def test_only_the_named_ones_are_retried(service: Api) -> None:
    """The others stay as they are."""
    await declared(service, "a", '{"type": "object"}')
    await outcomes(service, *(event(type="a", data=str(each)) for each in range(3)))
    kept = await refused_events(service)
    await service.event_types.DeleteEventType(pb.DeleteEventTypeRequest(request_id=fresh(), type="a"))
    answer = await retried(service, refused_event_ids=[kept[1].refused_event_id])
    assert answer.stored == 1
    assert [each.refused_event_id for each in await refused_events(service)] == [
        kept[0].refused_event_id,
        kept[2].refused_event_id,
    ]


async def test_what_was_cut_is_not_retried(service: Api) -> None:
    """It would be another event."""
    assert await outcomes(service, event(data='"' + "x" * 70_000 + '"')) == ["too_large"]
    (kept,) = await refused_events(service)
    assert (kept.truncated, kept.event.data) == (True, "")
    assert await retried(service) == pb.RetryRefusedEventsResponse()
    assert len(await refused_events(service)) == 1


async def test_refused_events_are_listed_by_reason_and_source(service: Api) -> None:
    """The one that was first refused last first, page by page."""
    for each in range(5):
        await outcomes(service, event(source="/a", data=f"{each}{{"), event(source="/b", id="", subject=str(each)))
    reason = events_pb2.REFUSAL_REASON_DATA_MALFORMED
    found_events = await refused_events(service, page_size=2, filter=pb.RefusedEventFilter(reason=reason))
    assert [each.event.data for each in found_events] == ["4{", "3{", "2{", "1{", "0{"]
    by_source = await refused_events(service, filter=pb.RefusedEventFilter(source="/b"))
    assert [each.event.subject for each in by_source] == ["4", "3", "2", "1", "0"]
