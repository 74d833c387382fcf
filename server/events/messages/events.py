"""events' messages to plain values, and back."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from backroom.events.v1 import event_service_pb2 as pb
from backroom.events.v1 import event_type_service_pb2 as types_pb
from backroom.events.v1 import event_types_pb2, events_pb2
from server.events.messages.cloud_events import cloud_event_of
from server.events.service.exporting import ExportFormat, ExportPiece
from server.events.service.ingesting import MAX_EVENTS
from server.frame.editing import Edit, as_sent, edit_of, etag_of
from server.frame.errors import FieldInvalid
from server.frame.wire import EnumNames, id_text, require, timestamp
from storage.events.records import (
    MALFORMED_TIME,
    MICROSECONDS,
    NEW,
    STORED,
    Event,
    EventFilter,
    EventType,
    Outcome,
    RefusalReason,
    RefusedEvent,
    RefusedEventFilter,
    SchemaMode,
    SentEvent,
    Verdict,
)

_SECONDS = range(-62_135_596_800, 253_402_300_800)
"""Of a Timestamp: from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z."""
_NANOS = 1_000_000_000
"""A second."""

_OUTCOMES = EnumNames(Outcome, events_pb2.Outcome)
REASONS = EnumNames(RefusalReason, events_pb2.RefusalReason)
_MODES = EnumNames(SchemaMode, event_types_pb2.SchemaMode)


def sent_events(request: pb.IngestEventsRequest | pb.StreamEventsRequest) -> Sequence[SentEvent]:
    """Raises FieldInvalid where there are none or too many; what is wrong with one of them is for its verdict."""
    _check_count(len(request.events))
    return [
        NEW(
            SentEvent,
            (
                event.id,
                event.source,
                event.type,
                event.subject,
                _time(event),
                event.data,
                dict(attributes) if (attributes := event.attributes) else _NONE,
            ),
        )
        for event in request.events
    ]


def sent_cloud_events(request: pb.IngestCloudEventsRequest) -> Sequence[SentEvent]:
    """Likewise, in CloudEvents' own format."""
    _check_count(len(request.events))
    return [cloud_event_of(event) for event in request.events]


def _check_count(count: int) -> None:
    if not 0 < count <= MAX_EVENTS:
        raise FieldInvalid.of("events", f"must be 1 to {MAX_EVENTS:,}, and are {count:,}")


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


def cloud_events_ingested(verdicts: Sequence[Verdict]) -> pb.IngestCloudEventsResponse:
    return pb.IngestCloudEventsResponse(verdicts=map(_verdict, verdicts))


def streamed(batch_number: int, verdicts: Sequence[Verdict]) -> pb.StreamEventsResponse:
    if verdicts.count(STORED) == len(verdicts):
        answer = pb.StreamEventsResponse()
        answer.CopyFrom(_all_stored_of_stream(len(verdicts)))
        answer.batch_number = batch_number
        return answer
    return pb.StreamEventsResponse(batch_number=batch_number, verdicts=map(_verdict, verdicts))


def export_format(wanted: "pb.ExportFormat.ValueType") -> ExportFormat:
    return ExportFormat.PARQUET if wanted == pb.EXPORT_FORMAT_PARQUET else ExportFormat.CSV


def export_piece(piece: ExportPiece) -> pb.ExportEventsResponse:
    return pb.ExportEventsResponse(
        file_number=piece.file_number,
        content=piece.content,
        exported_events=piece.exported,
        estimated_events=piece.estimated,
    )


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
        message.refused_event_id = id_text(verdict.refused_event_id)
    return message


def event_type_draft(sent: event_types_pb2.EventType) -> tuple[str, str, str, SchemaMode]:
    """Its name, description, schema and mode; raises FieldInvalid where the name is missing."""
    require(sent, "type")
    return sent.type, sent.description, sent.schema, _mode(sent)


def event_type_edit(request: types_pb.UpdateEventTypeRequest) -> Edit[str]:
    """Raises FieldInvalid where the type is missing, the mask names another field, or a value is malformed."""
    fields = {**as_sent("description", "schema"), "mode": _mode}
    return edit_of(request.event_type, request.update_mask, ("type", str), fields)


def _mode(sent: event_types_pb2.EventType) -> SchemaMode:
    return _MODES.find(sent.mode) or SchemaMode.STRICT


def event_type(declared: EventType) -> event_types_pb2.EventType:
    return event_types_pb2.EventType(
        type=declared.type,
        description=declared.description,
        schema=declared.schema,
        mode=_MODES.wire(declared.mode),
        etag=etag_of(declared),
        create_time=timestamp(declared.create_time),
        update_time=timestamp(declared.update_time),
    )


def refused_event_filter(wanted: types_pb.RefusedEventFilter, ids: Iterable[str] = ()) -> RefusedEventFilter:
    found = frozenset(map(UUID, ids))
    return RefusedEventFilter(
        type=wanted.type or None,
        source=wanted.source or None,
        reason=REASONS.find(wanted.reason),
        ids=found or None,
    )


def refused_event(kept: RefusedEvent) -> event_types_pb2.RefusedEvent:
    sent = kept.event
    message = event_types_pb2.RefusedEvent(
        refused_event_id=id_text(kept.id),
        event=events_pb2.Event(
            id=sent.id,
            source=sent.source,
            type=sent.type,
            subject=sent.subject,
            data=sent.data,
            attributes=sent.attributes,
        ),
        reason=REASONS.wire(kept.reason),
        message=kept.message,
        attempts=kept.attempts,
        truncated=kept.truncated,
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )
    if sent.time is not None and sent.time != MALFORMED_TIME:
        seconds, micros = divmod(sent.time, MICROSECONDS)
        message.event.time.CopyFrom(Timestamp(seconds=seconds, nanos=micros * 1000))
    return message
