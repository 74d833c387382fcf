"""Events, and what callers ask for, for tests of events."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from google.protobuf.field_mask_pb2 import FieldMask

from backroom.events.v1 import event_service_pb2 as pb
from backroom.events.v1 import event_type_service_pb2 as types_pb
from backroom.events.v1 import event_types_pb2, events_pb2
from server.frame.wire import timestamp
from storage.laws import LawReader
from storage.schema import LAWS
from storage.store import FRAME
from tests.fixtures.servers import Api, Running

SOURCE = "/shop"
STRICT, LENIENT = event_types_pb2.SCHEMA_MODE_STRICT, event_types_pb2.SCHEMA_MODE_LENIENT


def fresh() -> str:
    return str(uuid4())


def ago(**earlier: float) -> datetime:
    return datetime.now(UTC) - timedelta(**earlier)


def event(*, time: datetime | None = None, **rest: Any) -> events_pb2.Event:
    """A new event, unless its id says otherwise."""
    given = {"id": fresh(), "source": SOURCE, "type": "order.placed", **rest}
    return events_pb2.Event(**given, time=timestamp(time))


async def verdicts(api: Api, *sent: events_pb2.Event) -> Sequence[events_pb2.Verdict]:
    """What is answered to one batch."""
    answer = await api.events.IngestEvents(pb.IngestEventsRequest(events=sent))
    found: Sequence[events_pb2.Verdict] = answer.verdicts
    return found


async def outcomes(api: Api, *sent: events_pb2.Event) -> list[str]:
    """The same in short, such as "stored"."""
    return [shown(verdict) for verdict in await verdicts(api, *sent)]


async def streamed(api: Api, batches: Iterable[Sequence[events_pb2.Event]]) -> list[list[str]]:
    """What is answered to each batch of a stream, of which the numbers must be in order."""

    async def requests() -> Any:
        for batch in batches:
            yield pb.StreamEventsRequest(events=batch)

    found = []
    async for answer in api.events.StreamEvents(requests()):
        found.append([shown(verdict) for verdict in answer.verdicts])
        assert answer.batch_number == len(found)
    return found


def shown(verdict: events_pb2.Verdict) -> str:
    """An outcome, or the reason of a refusal, in short: "duplicate", "too_old"."""
    if verdict.outcome == events_pb2.OUTCOME_REFUSED:
        return events_pb2.RefusalReason.Name(verdict.reason).removeprefix("REFUSAL_REASON_").lower()
    return events_pb2.Outcome.Name(verdict.outcome).removeprefix("OUTCOME_").lower()


async def listed(api: Api, **rest: Any) -> list[events_pb2.Event]:
    """All events of a list, over all pages."""
    request = pb.ListEventsRequest(**rest)
    found: list[events_pb2.Event] = []
    while True:
        page = await api.events.ListEvents(request)
        found += page.events
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def deleted(api: Api, subject: str, request_id: str = "") -> pb.DeleteSubjectResponse:
    request = pb.DeleteSubjectRequest(request_id=request_id or fresh(), subject=subject)
    answer: pb.DeleteSubjectResponse = await api.events.DeleteSubject(request)
    return answer


async def declared(api: Api, kind: str, schema: str = "", **rest: Any) -> event_types_pb2.EventType:
    """A new type."""
    event_type = event_types_pb2.EventType(type=kind, schema=schema, **rest)
    request = types_pb.CreateEventTypeRequest(request_id=fresh(), event_type=event_type)
    answer: event_types_pb2.EventType = (await api.event_types.CreateEventType(request)).event_type
    return answer


def update(kind: str, **values: Any) -> types_pb.UpdateEventTypeRequest:
    """A request to change these fields of a type."""
    paths = [name for name in values if name != "etag"]
    changed = event_types_pb2.EventType(type=kind, **values)
    return types_pb.UpdateEventTypeRequest(request_id=fresh(), event_type=changed, update_mask=FieldMask(paths=paths))


async def refused_events(api: Api, **rest: Any) -> list[event_types_pb2.RefusedEvent]:
    """All that are listed, over all pages."""
    request = types_pb.ListRefusedEventsRequest(**rest)
    found: list[event_types_pb2.RefusedEvent] = []
    while True:
        page = await api.event_types.ListRefusedEvents(request)
        found += page.refused_events
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def retried(api: Api, **rest: Any) -> types_pb.RetryRefusedEventsResponse:
    request = types_pb.RetryRefusedEventsRequest(**{"request_id": fresh(), **rest})
    answer: types_pb.RetryRefusedEventsResponse = await api.event_types.RetryRefusedEvents(request)
    return answer


async def broken_laws(server: Running) -> set[str]:
    """The laws of events that do not hold."""
    laws = [law for law in LAWS if "events." in law.counted and "frame." not in law.counted]
    async with server.database.store(FRAME).transaction() as tx:
        found = await LawReader(tx._connection).check(laws)
    return {finding.id for finding in found if finding.violations}
