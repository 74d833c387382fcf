"""events' messages to plain values, and back."""

from collections.abc import Sequence
from functools import lru_cache

from backroom.events.v1 import event_service_pb2 as pb
from backroom.events.v1 import events_pb2
from server.events.service.ingesting import MAX_EVENTS
from server.frame.errors import FieldInvalid
from server.frame.wire import EnumNames, timestamp
from storage.events.records import (
    MALFORMED_TIME,
    MICROSECONDS,
    STORED,
    Event,
    EventFilter,
    Outcome,
    RefusalReason,
    SentEvent,
    Verdict,
)

_SECONDS = range(-62_135_596_800, 253_402_300_800)
"""Of a Timestamp: from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z."""
_NANOS = 1_000_000_000
"""A second."""

_OUTCOMES = EnumNames(Outcome, events_pb2.Outcome)
REASONS = EnumNames(RefusalReason, events_pb2.RefusalReason)


def sent_events(request: pb.IngestEventsRequest | pb.StreamEventsRequest) -> Sequence[SentEvent]:
    """Raises FieldInvalid where there are none or too many; what is wrong with one of them is for its verdict."""
    if not 0 < len(request.events) <= MAX_EVENTS:
        raise FieldInvalid.of("events", f"must be 1 to {MAX_EVENTS:,}, and are {len(request.events):,}")
    return [
        SentEvent(
            event.id,
            event.source,
            event.type,
            event.subject,
            _time(event),
            event.data,
            dict(event.attributes) if event.attributes else _NONE,
        )
        for event in request.events
    ]


_NONE: dict[str, str] = {}
"""The attributes of most events."""


def _time(event: events_pb2.Event) -> int | None:
    stamp = event.time
    seconds, nanos = stamp.seconds, stamp.nanos
    if not seconds and not nanos and not event.HasField("time"):
        return None
    if seconds in _SECONDS and 0 <= nanos < _NANOS:
        return seconds * MICROSECONDS + nanos // 1000
    return MALFORMED_TIME


def ingested(verdicts: Sequence[Verdict]) -> pb.IngestEventsResponse:
    if verdicts.count(STORED) == len(verdicts):
        return _all_stored(len(verdicts))
    return pb.IngestEventsResponse(verdicts=map(_verdict, verdicts))


def streamed(batch_number: int, verdicts: Sequence[Verdict]) -> pb.StreamEventsResponse:
    if verdicts.count(STORED) == len(verdicts):
        answer = pb.StreamEventsResponse()
        answer.CopyFrom(_all_stored_of_stream(len(verdicts)))
        answer.batch_number = batch_number
        return answer
    return pb.StreamEventsResponse(batch_number=batch_number, verdicts=map(_verdict, verdicts))


def event_filter(wanted: pb.EventFilter) -> EventFilter:
    return EventFilter(frozenset(wanted.types), wanted.source or None, wanted.subject or None)


def event(stored: Event) -> events_pb2.Event:
    return events_pb2.Event(
        id=stored.id,
        source=stored.source,
        type=stored.type,
        subject=stored.subject,
        time=timestamp(stored.time),
        data=stored.data,
        attributes=stored.attributes,
        receive_time=timestamp(stored.receive_time),
    )


@lru_cache(64)
def _all_stored(count: int) -> pb.IngestEventsResponse:
    return pb.IngestEventsResponse(verdicts=[_verdict(STORED)] * count)


@lru_cache(64)
def _all_stored_of_stream(count: int) -> pb.StreamEventsResponse:
    return pb.StreamEventsResponse(verdicts=[_verdict(STORED)] * count)


def _verdict(verdict: Verdict) -> events_pb2.Verdict:
    message = events_pb2.Verdict(outcome=_OUTCOMES.wire(verdict.outcome), message=verdict.message)
    if verdict.reason is not None:
        message.reason = REASONS.wire(verdict.reason)
        message.refused_event_id = str(verdict.refused_event_id)
    return message
