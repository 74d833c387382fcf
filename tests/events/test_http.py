"""Events that are sent by HTTP, as CloudEvents' own SDK sends them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from backroom.events.v1 import event_type_service_pb2
from server.events.http.routes import MAX_BODY_BYTES
from server.events.service.ingesting import Room
from server.frame.errors import Overloaded
from storage.database import Database
from tests.events.sending import EVENTS, sending, stored
from tests.fixtures.servers import Running

NOW = datetime.now(UTC).replace(microsecond=123456)
BATCH = {"content-type": "application/cloudevents-batch+json"}
STRUCTURED = {"content-type": "application/cloudevents+json"}


def sent(id: str = "1", data: Any = None, **attributes: Any) -> CloudEvent:  # noqa: A002 - CloudEvents calls it so
    own = {"id": id, "source": "/shop", "type": "order.paid", "specversion": "1.0", "time": NOW}
    return CloudEvent({**own, **attributes}, {"total": 12.5} if data is None else data)


def written(*events: CloudEvent) -> bytes:
    """A batch in JSON."""
    return b"[" + b",".join(to_structured_event(each).body for each in events) + b"]"


async def post(client: httpx.AsyncClient, message: HTTPMessage) -> httpx.Response:
    return await client.post(EVENTS, content=message.body, headers=message.headers)


def outcomes(response: httpx.Response) -> list[str]:
    return [each["outcome"] for each in response.json()["verdicts"]]


async def test_one_event_counts_once_in_every_mode(database: Database) -> None:
    """Structured, binary and in a batch: the first one is stored, and the others are known as the same."""
    event = sent(subject="Änne Müller", region='50 % "off"')
    async with sending(database) as (server, client):
        first = await post(client, to_structured_event(event))
        assert (first.status_code, first.json()) == (200, {"verdicts": [{"outcome": "STORED"}]})
        again = [await post(client, to_structured_event(event)), await post(client, to_binary_event(event))]
        again.append(await client.post(EVENTS, content=written(event), headers=BATCH))
        assert [(each.status_code, outcomes(each)) for each in again] == [(200, ["DUPLICATE"])] * 3
        found = (await stored(await server.sign_in("admin")))["1"]
    assert (found.subject, dict(found.attributes)) == ("Änne Müller", {"region": '50 % "off"'})
    assert (found.source, found.type, json.loads(found.data)) == ("/shop", "order.paid", {"total": 12.5})
    assert found.time.ToDatetime(UTC) == NOW


async def test_what_is_not_stored_is_never_behind_a_200(database: Database) -> None:
    """Each event of a batch has its verdict, and none stops the others; what is refused is kept with its reason."""
    events = [sent("1"), sent("2", time=NOW - timedelta(days=5_000)), sent("1", {"total": 13}), sent("4")]
    body = written(*events)[:-1] + b', {"specversion": "1.0", "id": "5", "source": "/shop"}, 7]'
    async with sending(database) as (server, client):
        response = await client.post(EVENTS, content=body, headers=BATCH)
        assert response.status_code == 422
        verdicts = response.json()["verdicts"]
        expected = ["STORED", "REFUSED", "CONFLICT", "STORED", "REFUSED", "REFUSED"]
        assert outcomes(response) == expected
        assert [each.get("reason") for each in verdicts if each["outcome"] == "REFUSED"] == [
            "TOO_OLD",
            "FIELD_INVALID",
            "FIELD_INVALID",
        ]
        assert verdicts[4]["message"] == "type: is missing"
        assert all(each.get("refused_event_id") for each in verdicts if each["outcome"] == "REFUSED")
        assert set(await stored(await server.sign_in("admin"))) == {"1", "4"}


@pytest.mark.parametrize(
    "member", ["id", "source", "type", "subject", "time", "data", "extension", "\ud800"], ids=ascii
)
async def test_half_of_a_pair_of_surrogates_stops_no_other_event(member: str, database: Database) -> None:
    """JSON can escape what no UTF-8 has: the event is refused and kept, wherever it has it."""
    odd = json.dumps({"specversion": "1.0", "id": "2", "source": "/shop", "type": "t", member: "\udfff"})
    body = written(sent("1"))[:-1] + b"," + odd.encode() + b"]"
    async with sending(database) as (server, client):
        response = await client.post(EVENTS, content=body, headers=BATCH)
        assert (response.status_code, outcomes(response)) == (422, ["STORED", "REFUSED"]), response.text
        listed = await (await server.sign_in("admin")).event_types.ListRefusedEvents(
            event_type_service_pb2.ListRefusedEventsRequest()
        )
        assert [each.refused_event_id for each in listed.refused_events] == [
            response.json()["verdicts"][1]["refused_event_id"]
        ]


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        ("a text", "text/plain", '"a text"'),
        (b"\xff\x00", "application/octet-stream", '{"data_base64": "/wA="}'),
        (b'{"n": 1.50}', "application/json", '{"n": 1.50}'),
    ],
)
async def test_data_of_any_kind_becomes_json(data: Any, content_type: str, expected: str, database: Database) -> None:
    """With its digits, or as a string, or in base64."""
    async with sending(database) as (server, client):
        response = await post(client, to_binary_event(sent(data=data, datacontenttype=content_type)))
        assert response.status_code == 200
        assert (await stored(await server.sign_in("admin")))["1"].data == expected


@pytest.mark.parametrize(
    ("headers", "body", "status", "said"),
    [
        ({}, b"{}", 415, "content type"),
        ({"content-type": "application/cloudevents+avro", "ce-id": "1"}, b"{}", 415, "content type"),
        ({**STRUCTURED, "content-encoding": "gzip"}, b"{}", 415, "compressed"),
        ({"content-type": "application/cloudevents+json; charset=latin-1"}, b"{}", 415, "UTF-8"),
        (STRUCTURED, b"[]", 400, "object"),
        (STRUCTURED, b"{", 400, "not JSON"),
        (BATCH, b"{}", 400, "array"),
        (BATCH, b"[" + b"{}," * 5_000 + b"{}]", 400, "at most 5,000"),
        (BATCH, b"[" + b" " * MAX_BODY_BYTES + b"]", 413, "larger"),
    ],
)
async def test_a_request_without_events_says_what_is_wrong(
    headers: dict[str, str], body: bytes, status: int, said: str, database: Database
) -> None:
    """Nothing of it is stored."""
    async with sending(database) as (_, client):
        response = await client.post(EVENTS, content=body, headers=headers)
        assert response.status_code == status
        assert said in response.json()["message"]
        empty = await client.post(EVENTS, content=b"[]", headers=BATCH)
        assert (empty.status_code, empty.json()) == (200, {"verdicts": []})


@pytest.mark.parametrize(
    ("header", "value", "message"),
    [
        ("ce-time", b"yesterday", "time: must be"),
        ("ce-region", b"%FF", "ce-region: is not percent-encoded"),
        ("ce-specversion", b"0.3", "specversion: must be"),
        ("ce-a_b", b"c", "'a_b': an attribute's name"),
    ],
)
async def test_a_header_that_is_none_of_cloudevents_is_named(
    header: str, value: bytes, message: str, database: Database
) -> None:
    """The event is refused, and the sender learns which header is wrong."""
    given: dict[bytes, bytes] = {name.encode(): each.encode() for name, each in to_binary_event(sent()).headers.items()}
    async with sending(database) as (_, client):
        response = await client.post(EVENTS, content=b"{}", headers={**given, header.encode(): value})
        assert response.status_code == 422
        assert message in response.json()["verdicts"][0]["message"]


async def test_who_may_not_send_is_turned_away(database: Database) -> None:
    """Without a token, with one that is none, and without the permission."""
    message = to_structured_event(sent())
    async with sending(database) as (server, client):
        customer = await server.sign_in("customer")
        for token, status, reason in (
            ("", 401, "TOKEN_INVALID"),
            ("nonsense", 401, "TOKEN_INVALID"),
            (f"Bearer {customer.token}", 403, "PERMISSION_MISSING"),
        ):
            client.headers["authorization"] = token
            response = await post(client, message)
            assert (response.status_code, response.json()["reason"]) == (status, reason)
        assert not await stored(await server.sign_in("admin"))
        assert (await client.get(EVENTS)).status_code == 405


async def test_who_sends_too_often_is_told_when_to_go_on(database: Database) -> None:
    """Large bodies count as several requests."""
    large = to_structured_event(sent(data={"text": "x" * 60_000}))
    async with sending(database, events_requests_per_second=1.0) as (_, client):
        assert (await post(client, large)).status_code == 200
        response = await post(client, to_structured_event(sent("2")))
    assert (response.status_code, response.json()["reason"]) == (429, "RATE_LIMITED")
    assert int(response.headers["retry-after"]) >= 1


async def test_who_comes_when_too_much_is_in_flight_is_told_so(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is the server's doing and not the caller's: 503, and when to try again."""

    def full(_: Room) -> None:
        raise Overloaded

    async with sending(database) as (server, client):
        with monkeypatch.context() as patched:
            patched.setattr(Room, "check", full)
            response = await post(client, to_structured_event(sent()))
        assert (response.status_code, response.json()["reason"]) == (503, "OVERLOADED")
        assert int(response.headers["retry-after"]) >= 1
        assert not await stored(await server.sign_in("admin"))
        assert (await post(client, to_structured_event(sent()))).status_code == 200


async def test_the_log_and_the_metrics_know_each_request(database: Database) -> None:
    """By its status and the number of its events, and by nothing that was sent."""
    async with sending(database) as (server, client):
        await client.post(EVENTS, content=written(sent("1"), sent("2")), headers=BATCH)
        (line,) = lines(server)
        assert (line["status"], line["events"]) == (200, 2)
        metrics = (await client.get("/metrics")).text
    assert 'backroom_events_http_requests_total{status="200"} 1.0' in metrics


def lines(server: Running) -> list[dict[str, Any]]:
    return [line for line in server.log if line["event"] == "events_http"]
