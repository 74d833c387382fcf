"""CloudEvents as their own SDK writes them, and as nobody should."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_structured_event
from cloudevents.core.v1.event import CloudEvent as Sent

from backroom.cloudevents.v1 import cloudevents_pb2 as pb2
from server.events.messages.cloud_events import cloud_event_of
from server.events.rules.cloud_event_json import batch, one
from server.events.rules.cloud_events import cloud_event, data_of, time_of
from server.events.rules.json_text import NotJson
from server.events.rules.judging import micros
from server.events.rules.malformed import Malformed
from storage.events.records import SentEvent

OWN = {"id": "1", "source": "/shop", "type": "order.paid", "specversion": "1.0"}


def read(**members: Any) -> SentEvent:
    return one(json.dumps({**OWN, **members}).encode())


def found(event: SentEvent) -> SentEvent:
    assert not isinstance(event, Malformed), event
    return event


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        ({"total": 12.5}, "application/json", '{"total": 12.5}'),
        ({"total": 1}, "application/vnd.shop+json", '{"total": 1}'),
        ("a text", "text/plain", '"a text"'),
        (b"\xff\x00", "application/octet-stream", '{"data_base64": "/wA="}'),
        (b'{"total": 2}', "application/json", '{"total": 2}'),
        (None, "application/json", ""),
    ],
)
def test_what_the_sdk_writes_is_read(data: Any, content_type: str, expected: str) -> None:
    """Each kind of data in structured JSON, with its attributes in CloudEvents' own text."""
    time = datetime(2026, 1, 31, 12, 0, 0, 123456, timezone(timedelta(hours=2)))
    attributes = {**OWN, "time": time, "subject": "anna", "datacontenttype": content_type, "region": "emea"}
    event = found(one(to_structured_event(Sent(attributes, data)).body))
    assert (event.id, event.source, event.type, event.subject) == ("1", "/shop", "order.paid", "anna")
    assert event.time == micros(datetime(2026, 1, 31, 10, 0, 0, 123456, UTC))
    assert event.data == expected
    kept = {} if content_type == "application/json" else {"datacontenttype": content_type}
    assert event.attributes == {"region": "emea", **kept}


def test_digits_of_data_are_kept() -> None:
    """Also where no float and no 64-bit integer has them."""
    digits = '{"a": 0.10000000000000000001, "b": 123456789012345678901234567890, "c": 1E400, "d": -0.0}'
    body = json.dumps(OWN)[:-1] + f', "data" : {digits} , "seen": true, "count": -7, "gone": null}}'
    event = found(one(body.encode()))
    assert event.data == digits
    assert event.attributes == {"seen": "true", "count": "-7"}
    assert data_of(digits.encode(), "application/json") == digits


def test_the_protobuf_format_says_the_same() -> None:
    """Each type of attribute, and each kind of data."""
    message = pb2.CloudEvent(id="1", source="/shop", spec_version="1.0", type="order.paid", text_data='{"total": 1.50}')
    values: dict[str, dict[str, Any]] = {
        "subject": {"ce_string": "anna"},
        "yes": {"ce_boolean": True},
        "no": {"ce_boolean": False},
        "count": {"ce_integer": -3},
        "raw": {"ce_bytes": b"\xff"},
        "dataschema": {"ce_uri": "https://example.com/schema"},
        "near": {"ce_uri_ref": "/orders/1"},
    }
    for name, value in values.items():
        message.attributes[name].CopyFrom(pb2.CloudEventAttributeValue(**value))
    message.attributes["time"].ce_timestamp.FromJsonString("2026-01-31T12:00:00.5Z")
    event = found(cloud_event_of(message))
    assert event.time == micros(datetime(2026, 1, 31, 12, 0, 0, 500_000, UTC))
    assert (event.subject, event.data) == ("anna", '{"total": 1.50}')
    assert event.attributes == {
        "yes": "true",
        "no": "false",
        "count": "-3",
        "raw": "/w==",
        "dataschema": "https://example.com/schema",
        "near": "/orders/1",
    }
    message.proto_data.Pack(pb2.CloudEventBatch(events=[pb2.CloudEvent(id="x")]))
    packed = {"@type": "type.googleapis.com/io.cloudevents.v1.CloudEventBatch", "data_base64": "CgMKAXg="}
    assert json.loads(found(cloud_event_of(message)).data) == packed


def test_the_same_event_is_the_same_in_every_format() -> None:
    """So that it counts once, however it comes."""
    message = pb2.CloudEvent(id="1", source="/shop", spec_version="1.0", type="order.paid", binary_data=b'{"total":1}')
    message.attributes["datacontenttype"].ce_string = "application/json"
    by_json = one(b'{"specversion":"1.0","id":"1","source":"/shop","type":"order.paid","data":{"total":1}}')
    data = data_of(b'{"total":1}', "application/json")
    by_headers = cloud_event({**OWN, "datacontenttype": "application/json"}, data)
    assert cloud_event_of(message) == by_json == by_headers


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"specversion": "0.3"}, "specversion: must be"),
        ({"specversion": None}, "specversion: must be"),
        ({"id": ""}, "id: is missing"),
        ({"source": None}, "source: is missing"),
        ({"type": ""}, "type: is missing"),
        ({"id": 7.5}, "'id': must be a string"),
        ({"id": ["7"]}, "'id': must be a string"),
        ({"count": 2**31}, "'count': must be"),
        ({"count": 10**4000}, "'count': must be"),
        ({"Region": "emea"}, "'Region': an attribute's name"),
        ({"": "emea"}, "'': an attribute's name"),
        ({"region": "a\0b"}, "region: has a control character"),
        ({"subject": "\ud800"}, "subject: has a control character"),
        ({"time": "yesterday"}, "time: must be of the form"),
        ({"time": "2026-02-30T00:00:00Z"}, "time: must be of the form"),
        ({"time": "0001-01-01T00:00:00+01:00"}, "time: must be of the form"),
        ({"time": "9999-12-31T23:59:59-01:00"}, "time: must be of the form"),
        ({"time": "2026-01-31T12:00:00"}, "time: must be of the form"),
        ({"datacontenttype": "json"}, "datacontenttype: must be a media type"),
        ({"datacontenttype": "text/plain", "data": {}}, "data: must be a string"),
        ({"data": 1, "data_base64": "MQ=="}, "data_base64: is beside data"),
        ({"data_base64": "?"}, "data_base64: is not base64"),
        ({"data_base64": 1}, "data_base64: must be a string"),
        ({"data_base64": "e30x"}, "data: is not JSON"),
        ({"data_base64": "TmFO"}, "data: is not JSON"),
    ],
)
def test_what_is_no_event_is_refused_by_name(members: dict[str, Any], problem: str) -> None:
    """Each says which attribute is wrong, and how."""
    refused = read(**members)
    assert isinstance(refused, Malformed)
    assert problem in refused.refused.message


def test_a_batch_reads_the_others_past_what_is_no_event() -> None:
    """In their order; the batch is refused only where no event can be told from another."""
    good = json.dumps(OWN)
    body = f' [{good}, 7 , {{"id": "1", "id": "2"}} ,{good} ]\n'
    first, second, third, fourth = batch(body.encode(), 4)
    assert first == fourth
    assert isinstance(second, Malformed)
    assert isinstance(third, Malformed)
    assert second.refused.message == "an event must be a JSON object"
    assert third.refused.message == "'id': is there twice"
    assert batch(b"[ ]", 4) == []
    with pytest.raises(NotJson, match="at most 3 events"):
        batch(body.encode(), 3)


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[1,]", b"[1 2]", b"{}", b"[] 1", b"\xff", b'[{"data": NaN}]', b"[" * 100_000, b"[,1]"]
)
def test_what_is_no_batch_is_refused_whole(body: bytes) -> None:
    """Nothing of it is read, and nothing breaks."""
    with pytest.raises(NotJson, match="body"):
        batch(body, 10)


def test_a_number_of_any_length_stops_nothing() -> None:
    """Python itself reads no more than 4,300 digits."""
    digits = "1" * 5_000
    event = found(one((json.dumps(OWN)[:-1] + f', "data": {digits}}}').encode()))
    assert event.data == digits


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"{} {}", b"\xff", b'{"data": Infinity}', b'{"a":' * 100_000])
def test_what_is_no_object_is_refused_whole(body: bytes) -> None:
    """The same of a single event."""
    with pytest.raises(NotJson, match="body"):
        one(body)


def test_a_time_keeps_its_microseconds() -> None:
    """What is finer is cut, in any zone."""
    assert time_of("2026-01-31t12:00:00.1234567z") == datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)
    assert time_of("2026-01-31T12:00:00.5-05:30") == datetime(2026, 1, 31, 17, 30, 0, 500_000, UTC)
