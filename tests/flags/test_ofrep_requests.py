"""OFREP with malformed and unusual requests, entity tags of every form, and expired URLs."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from server.frame.module import now
from storage.database import Database
from tests.fixtures.servers import Running
from tests.flags.keeping import add
from tests.flags.ofrep import ALL, HERE, PAGE, serving, until_known, url_of
from tests.flags.values import flag

Opened = tuple[Running, httpx.AsyncClient]
PRO = {"if": [{"==": [{"var": "plan"}, "pro"]}, "on", "off"]}


@pytest.fixture
async def opened(database: Database) -> AsyncIterator[Opened]:
    """A server with the flag `a`, which is on for the plan `pro`."""
    async with serving(database, flags_open_to=HERE, flags_cors_origins=(PAGE,)) as both:
        await until_known(both[1], await add(database, flag("a", targeting=PRO)))
        yield both


def nested(levels: int) -> str:
    return '{"context": {"plan": "pro", "x": ' + "[" * levels + "]" * levels + "}}"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("null", "PARSE_ERROR"),
        ('"context"', "PARSE_ERROR"),
        ("NaN", "PARSE_ERROR"),
        ('{"context": {"n": NaN}}', "PARSE_ERROR"),
        ('{"context": {"n": Infinity}}', "PARSE_ERROR"),
        ('{"context": {"n": 1e999}}', "PARSE_ERROR"),
        ('{"context": {"t": "\\ud800"}}', "PARSE_ERROR"),
        ('{"context": {"a": 1,}}', "PARSE_ERROR"),
        ("{'context': {}}", "PARSE_ERROR"),
        ('{"context": []}', "INVALID_CONTEXT"),
        ('{"context": "plan"}', "INVALID_CONTEXT"),
        ('{"context": false}', "INVALID_CONTEXT"),
        ('{"context": {"targetingKey": 3}}', "INVALID_CONTEXT"),
        ('{"context": {"targetingKey": ["u"]}}', "INVALID_CONTEXT"),
        (nested(101), "INVALID_CONTEXT"),
        (nested(300), "INVALID_CONTEXT"),
        (nested(1000), "INVALID_CONTEXT"),
        (nested(2000), "PARSE_ERROR"),
    ],
    ids=lambda text: text[:32],
)
async def test_a_body_that_is_no_evaluation_is_refused(opened: Opened, body: str, code: str) -> None:
    """Of one flag and of all alike, as JSON that clients read; the log has no fault."""
    server, client = opened
    for path in (f"{ALL}/a", ALL):
        answer = await client.post(path, content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
        found = answer.json()
        assert (found["errorCode"], bool(found["errorDetails"])) == (code, True)
        assert found.get("key") == ("a" if path.endswith("a") else None)
    assert not [line for line in server.log if "fault" in line]


@pytest.mark.parametrize(
    "body",
    [
        nested(90),
        '{"context": {"plan": "pro", "targetingKey": null}}',
        '{"context": {"plan": "pro", "targetingKey": ""}}',
        '{"context": {"plan": "free", "plan": "pro"}}',
        '{"context": {"plan": "pro", "n": 123456789012345678901234567890}}',
        '{"context": {"plan": "pro", "$flagd": {"timestamp": 0}}}',
        '{"context": {"plan": "pro"}, "more": true}',
        '{"context": {"plan": "pro", "": {"": []}}}',
    ],
    ids=lambda text: text[:48],
)
async def test_what_is_odd_and_can_be_read_is_evaluated(opened: Opened, body: str) -> None:
    """Whatever the content type says: there is nothing but JSON."""
    _, client = opened
    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        one = await client.post(f"{ALL}/a", content=body, headers={"content-type": kind})
        assert (one.status_code, one.json()["value"]) == (200, True)
        every = await client.post(ALL, content=body, headers={"content-type": kind})
        assert (every.status_code, every.json()["flags"][0]["value"]) == (200, True)


@pytest.mark.parametrize("body", ["", "  ", "{}", '{"context": null}', '{"context": {}}'])
async def test_without_a_context_it_is_empty(opened: Opened, body: str) -> None:
    """No targetingKey is required."""
    _, client = opened
    answer = await client.post(f"{ALL}/a", content=body)
    assert (answer.status_code, answer.json()["value"]) == (200, False)


async def test_other_methods_are_refused(opened: Opened) -> None:
    """With the one that is taken."""
    _, client = opened
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH"):
        for path in (ALL, f"{ALL}/a"):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    answer = await client.post("/ofrep/v1/events")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_a_tag_matches_in_each_form_that_clients_send(opened: Opened) -> None:
    """And in no other one: what cannot be read is no tag."""
    _, client = opened
    first = await client.post(ALL, json={})
    weak = first.headers["etag"]
    strong, bare = weak.removeprefix("W/"), weak.removeprefix("W/").strip('"')
    for sent in (weak, strong, f'{weak},"b"', f'W/"a" , {strong}', f'"a",\t{weak}', "*"):
        answer = await client.post(ALL, json={}, headers={"if-none-match": sent})
        assert (answer.status_code, answer.content) == (304, b""), sent
        assert "content-type" not in answer.headers
        assert answer.headers["etag"] == weak
    for sent in (bare, f"'{bare}'", f'"{bare[:-1]}"', '""', "", "W/", f'w"{bare}', '"*"', f'"{bare}'):
        assert (await client.post(ALL, json={}, headers={"if-none-match": sent})).status_code == 200, sent
    lines = [("if-none-match", '"a"'), ("if-none-match", weak)]
    assert (await client.post(ALL, json={}, headers=lines)).status_code == 304
    other = await client.post(ALL, json={"context": {"plan": "pro"}}, headers={"if-none-match": weak})
    assert (other.status_code, other.json()["flags"][0]["value"]) == (200, True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": 1}, {"n": 1.0}),
        ({"n": 1}, {"n": True}),
        ({"n": 0}, {"n": False}),
        ({"n": 1}, {"n": "1"}),
        ({"n": None}, {}),
        ({"n": []}, {"n": {}}),
        ({"n": [1, 2]}, {"n": [2, 1]}),
        ({"a": "b"}, {"ab": ""}),
        ({"n": "é"}, {"n": "e\u0301"}),
    ],
    ids=str,
)
async def test_contexts_that_differ_in_any_way_have_other_tags(opened: Opened, one: Any, other: Any) -> None:
    """A rule may tell them apart."""
    _, client = opened
    etag = (await client.post(ALL, json={"context": one})).headers["etag"]
    answer = await client.post(ALL, content=json.dumps({"context": other}), headers={"if-none-match": etag})
    assert answer.status_code == 200
    assert answer.headers["etag"] != etag


async def test_refusals_can_be_read_by_pages(database: Database) -> None:
    """A page of an allowed origin sees the status and when to try again; another origin sees nothing."""
    async with serving(database, flags_open_to=HERE, flags_cors_origins=(PAGE,), ofrep_calls_per_second=0.2) as (
        _,
        client,
    ):
        for origin, allowed in ((PAGE, PAGE), ("https://other.example.com", None)):
            answer = None
            for _ in range(3):
                answer = await client.post(f"{ALL}/a", headers={"origin": origin})
            assert answer is not None
            assert answer.status_code == 429
            assert answer.json()["errorCode"] == "GENERAL"
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers.get("access-control-allow-origin") == allowed
            if allowed:
                assert "retry-after" in answer.headers["access-control-expose-headers"].lower()


class Clock:
    """The time, some seconds ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> datetime:
        return now() + timedelta(seconds=self.ahead)


@asynccontextmanager
async def timed(database: Database) -> AsyncIterator[tuple[Clock, httpx.AsyncClient]]:
    clock = Clock()
    async with serving(database, flags_open_to=HERE, now=clock) as (_, client):
        yield clock, client


async def test_the_url_of_a_stream_holds_for_five_to_ten_minutes(database: Database) -> None:
    """Then a page gets another one with its flags: a tag holds no longer than the URL that came with it."""
    async with timed(database) as (clock, client):
        first = await client.post(ALL, json={})
        url = first.json()["eventStreams"][0]["endpoint"]["requestUri"]
        clock.ahead = 290.0
        async with client.stream("GET", url) as response:
            assert response.status_code == 200
        clock.ahead = 601.0
        expired = await client.get(url)
        assert (expired.status_code, expired.json()["errorCode"]) == (401, "GENERAL")
        again = await client.post(ALL, json={}, headers={"if-none-match": first.headers["etag"]})
        assert again.status_code == 200
        async with client.stream("GET", await url_of(client)) as response:
            assert response.status_code == 200


async def test_the_url_of_a_stream_says_nothing_of_its_flags(database: Database) -> None:
    """It travels through logs of proxies: neither a key, nor a token, nor a flag stands in it."""
    async with serving(database, flags_open_to=HERE) as (_, client):
        await until_known(client, await add(database, flag("a-flag", owner="ada")))
        url = await url_of(client)
        content = url.partition("right=")[2].partition(".")[0]
        said = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
        assert len(said) == 5
        assert said[0] == ""
        assert [set(each) <= set("0123456789abcdef") for each in said[3:]] == [True, True]


async def test_a_body_that_does_not_arrive_keeps_nobody_waiting(opened: Opened) -> None:
    """Neither while the server waits for it nor after its caller has left."""
    _, client = opened
    host, port = client.base_url.host, client.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"POST {ALL} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{".encode())
    await writer.drain()
    assert (await client.post(ALL, json={})).status_code == 200
    writer.close()
    await writer.wait_closed()
    assert (await client.post(ALL, json={})).status_code == 200
    del reader
