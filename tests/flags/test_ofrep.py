"""OFREP over the wire: a real server, and requests as its clients make them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import httpx
import pytest

from backroom.identity.v1 import access_service_pb2 as access_pb
from backroom.identity.v1 import accounts_pb2
from server.frame.sealing import MasterKeys
from storage.database import Database
from tests.fixtures.servers import Api, Running, quick_passwords, running
from tests.flags.keeping import add, change
from tests.flags.values import flag

ALL = "/ofrep/v1/evaluate/flags"
HERE = (ip_network("127.0.0.0/8"),)
PAGE = "https://shop.example.com"
PRO = {"if": [{"==": [{"var": "plan"}, "pro"]}, "on", "off"]}


@asynccontextmanager
async def serving(database: Database, **settings: Any) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    given = {"ofrep_calls_per_second": 0.0, **settings}
    async with (
        running(database, passwords=quick_passwords(), **given) as server,
        httpx.AsyncClient(base_url=server.http, timeout=30) as client,
    ):
        # The flags are loaded as the server starts, and in an empty database at once.
        await answered_by(client, 200 if given.get("flags_open_to") else 401)
        yield server, client


async def answered_by(client: httpx.AsyncClient, status: int, **headers: str) -> None:
    """Returns once a request with these headers is answered so."""
    async with asyncio.timeout(30):
        while True:
            if (await client.post(ALL, headers=headers)).status_code == status:
                return
            await asyncio.sleep(0.05)


@pytest.fixture
async def opened(database: Database) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    """A server of which the flags are open to this machine."""
    async with serving(database, flags_open_to=HERE, flags_cors_origins=(PAGE,)) as both:
        yield both


@pytest.fixture
async def closed(database: Database) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    """A server where every caller needs a token."""
    async with serving(database) as both:
        yield both


async def until_known(client: httpx.AsyncClient, version: int) -> None:
    """Returns once the server evaluates from this configuration version, as a client that received it requests."""
    async with asyncio.timeout(30):
        await client.post(ALL, params={"flagConfigEtag": str(version)})


async def evaluated(client: httpx.AsyncClient, key: str, /, **context: Any) -> httpx.Response:
    return await client.post(f"{ALL}/{key}", json={"context": context})


async def test_each_type_is_answered_as_such(opened: tuple[Running, httpx.AsyncClient], database: Database) -> None:
    """A whole float is written as one, and a reason and a variant are always there."""
    _, client = opened
    values: Mapping[str, Any] = {"flag": True, "text": "hello", "whole": 7, "share": 2.0, "thing": {"a": [1, None]}}
    flags = [flag(key, {"one": value}, "one", metadata={"team": "a"}) for key, value in values.items()]
    flags[3] = flag("share", {"one": 2, "two": 2.5}, "one")
    await until_known(client, await add(database, *flags))
    for key, value in values.items():
        answer = await evaluated(client, key, targetingKey="u")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        found = answer.json()
        assert (found["key"], found["value"], found["reason"], found["variant"]) == (key, value, "STATIC", "one")
    assert '"value":2.0' in (await evaluated(client, "share")).text
    assert (await evaluated(client, "text")).json()["metadata"] == {"team": "a"}


async def test_nothing_is_told_of_a_flag_but_what_clients_need(
    opened: tuple[Running, httpx.AsyncClient], database: Database
) -> None:
    """Neither its owner, nor its ticket, nor what is written about it."""
    _, client = opened
    secret = flag("a", owner="owner-x", ticket="ticket-x", description="description-x")
    await until_known(client, await add(database, secret))
    for answer in (await evaluated(client, "a"), await client.post(ALL, json={})):
        assert answer.status_code == 200
        assert "-x" not in answer.text


async def test_a_disabled_flag_has_no_value(opened: tuple[Running, httpx.AsyncClient], database: Database) -> None:
    """Nor has one without a default; the client uses its own, and reads a reason and a variant all the same."""
    _, client = opened
    disabled, none = flag("a", state="disabled"), flag("b", default="")
    await until_known(client, await add(database, disabled, none))
    assert (await evaluated(client, "a")).json() == {"key": "a", "reason": "DISABLED", "variant": "", "metadata": {}}
    assert (await evaluated(client, "b")).json() == {"key": "b", "reason": "DEFAULT", "variant": "", "metadata": {}}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"),
        (b"[]", "PARSE_ERROR"),
        (b'{"context": 3}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": 3}}', "INVALID_CONTEXT"),
        (b'{"context": {"x": "' + b"x" * 70_000 + b'"}}', "INVALID_CONTEXT"),
        (b"[" * 60_000, "PARSE_ERROR"),
    ],
)
async def test_what_is_wrong_with_a_request_is_said(
    opened: tuple[Running, httpx.AsyncClient], body: bytes, code: str
) -> None:
    """As JSON, with the key and the code that clients look for."""
    _, client = opened
    one = await client.post(f"{ALL}/a", content=body)
    assert (one.status_code, one.json()["key"], one.json()["errorCode"]) == (400, "a", code)
    assert one.json()["errorDetails"]
    every = await client.post(ALL, content=body)
    assert (every.status_code, every.json()["errorCode"]) == (400, code)


async def test_an_unknown_flag_and_one_that_fails(
    opened: tuple[Running, httpx.AsyncClient], database: Database
) -> None:
    """Have different codes; among all flags, only the failing one fails."""
    _, client = opened
    failing = flag("bad", targeting={"if": [True, {"var": "which"}]})
    await until_known(client, await add(database, failing, flag("good"), flag("a/b", flag_set_id="shop")))
    unknown = await evaluated(client, "none")
    assert (unknown.status_code, unknown.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")
    failed = await evaluated(client, "bad", which="no such variant")
    assert (failed.status_code, failed.json()["key"], failed.json()["errorCode"]) == (400, "bad", "GENERAL")
    every = await client.post(ALL, json={"context": {"which": "no such variant"}})
    by_key = {each["key"]: each for each in every.json()["flags"]}
    assert by_key["bad"]["errorCode"] == "GENERAL"
    assert by_key["good"]["value"] is False
    shop = {"flagd-selector": "flagSetId=shop"}
    assert (await client.post(f"{ALL}/a%2Fb", headers=shop)).json()["value"] is False
    assert (await client.post(ALL, headers={"flagd-selector": "shop"})).status_code == 400


async def test_a_changed_context_is_never_answered_by_304(
    opened: tuple[Running, httpx.AsyncClient], database: Database
) -> None:
    """Nor is a changed configuration; the same of both is, without a body, by a weak tag, a list, and `*`."""
    _, client = opened
    one = flag("a", targeting=PRO)
    await until_known(client, await add(database, one))
    first = await client.post(ALL, json={"context": {"plan": "free", "x": 1}})
    etag = first.headers["etag"]
    assert etag.startswith('W/"')
    same = b'{"context": {"x": 1, "plan": "free"}}'
    for known in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        again = await client.post(ALL, content=same, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    pro = await client.post(ALL, json={"context": {"plan": "pro", "x": 1}}, headers={"if-none-match": etag})
    assert pro.status_code == 200
    assert pro.json()["flags"][0]["value"] is True
    version = await change(database, replace(one, default_variant="on", version=2))
    await until_known(client, version)
    assert (await client.post(ALL, content=same, headers={"if-none-match": etag})).status_code == 200


async def test_what_hangs_on_the_time_is_not_answered_by_304_once_it_changed(
    opened: tuple[Running, httpx.AsyncClient], database: Database
) -> None:
    """Though neither the context nor the configuration did."""
    server, client = opened
    del server
    turn = {"if": [{"<": [{"%": [{"var": "$flagd.timestamp"}, 4]}, 2]}, "on", "off"]}
    await until_known(client, await add(database, flag("a", targeting=turn)))
    first = await client.post(ALL, json={})
    async with asyncio.timeout(20):
        while True:
            answer = await client.post(ALL, json={}, headers={"if-none-match": first.headers["etag"]})
            if answer.status_code == 200 and answer.json()["flags"] != first.json()["flags"]:
                break
            await asyncio.sleep(0.2)


async def test_pages_of_exact_origins_may_ask(opened: tuple[Running, httpx.AsyncClient]) -> None:
    """With the headers that the protocol has, and they may read the tag."""
    _, client = opened
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,if-none-match"}
    allowed = await client.options(ALL, headers={"origin": PAGE, **asked})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == PAGE
    assert "if-none-match" in allowed.headers["access-control-allow-headers"].lower()
    answer = await client.post(ALL, headers={"origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "etag" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    for other in ("https://shop.example.com.evil.test", "http://shop.example.com", "null"):
        refused = await client.options(ALL, headers={"origin": other, **asked})
        assert "access-control-allow-origin" not in refused.headers
        assert "access-control-allow-origin" not in (await client.post(ALL, headers={"origin": other})).headers


async def key_of(server: Running, *roles: str) -> tuple[str, Api, UUID]:
    """A service account's key, who can take it away, and the account."""
    admin = await server.sign_in("admin")
    wanted = accounts_pb2.ServiceAccount(name="page", roles=roles)
    request = access_pb.CreateServiceAccountRequest(service_account=wanted)
    made = await admin.access.CreateServiceAccount(request)
    return made.secret, admin, UUID(made.service_account.service_account_id)


async def test_a_token_or_a_key_is_asked_for(closed: tuple[Running, httpx.AsyncClient]) -> None:
    """In either header, of an account that may evaluate."""
    server, client = closed
    key, _, _ = await key_of(server, "service")
    service, customer = await server.sign_in("service"), await server.sign_in("customer")
    for headers in (
        {"authorization": f"Bearer {service.token}"},
        {"x-api-key": key},
        {"authorization": f"Bearer {key}"},
        {"x-api-key": str(service.token)},
    ):
        assert (await client.post(ALL, headers=headers)).status_code == 200
    refused = await client.post(f"{ALL}/a")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    for wrong in ("brk_" + "0" * 33, "nonsense", key[:-1], ""):
        assert (await client.post(ALL, headers={"x-api-key": wrong})).status_code == 401
    both = {"x-api-key": key, "authorization": f"Bearer {key}"}
    assert (await client.post(ALL, headers=both)).status_code == 401
    forbidden = await client.post(ALL, headers={"authorization": f"Bearer {customer.token}"})
    assert forbidden.status_code == 403
    assert "flags.evaluate" in forbidden.json()["errorDetails"]


async def test_a_deleted_key_lets_nobody_in(closed: tuple[Running, httpx.AsyncClient]) -> None:
    """Within a second, though it is known already."""
    server, client = closed
    key, admin, account_id = await key_of(server, "service")
    assert (await client.post(ALL, headers={"x-api-key": key})).status_code == 200
    listed = await admin.access.ListKeys(access_pb.ListKeysRequest(service_account_id=str(account_id)))
    await admin.access.DeleteKey(access_pb.DeleteKeyRequest(key_id=listed.keys[0].key_id))
    await answered_by(client, 401, **{"x-api-key": key})


async def test_who_asks_too_often_is_told_when_to_ask_again(database: Database) -> None:
    """Also a caller with an invalid key."""
    async with serving(database, flags_open_to=HERE, ofrep_calls_per_second=0.5) as (_, client):
        answers = [await client.post(f"{ALL}/a") for _ in range(4)]
        assert [each.status_code for each in answers][-1] == 429
        assert int(answers[-1].headers["retry-after"]) >= 1
        wrong = [(await client.post(ALL, headers={"x-api-key": "brk_" + "0" * 33})).status_code for _ in range(4)]
        assert wrong[-1] == 429


class Events:
    """An event stream, read as EventSource does."""

    def __init__(self, response: httpx.Response) -> None:
        self.lines = response.aiter_lines()

    async def next(self) -> dict[str, str]:
        """The next event; comments are passed over."""
        found: dict[str, str] = {}
        async with asyncio.timeout(30):
            async for line in self.lines:
                if not line and "data" in found:
                    return found
                if line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    found[name] = value
        raise AssertionError("the stream ended")

    async def end(self) -> None:
        """Returns once the server has ended it."""
        async with asyncio.timeout(30):
            async for _ in self.lines:
                pass


async def url_of(client: httpx.AsyncClient, **headers: str) -> str:
    answer = await client.post(ALL, json={}, headers=headers)
    (stream,) = answer.json()["eventStreams"]
    assert stream["type"] == "sse"
    return str(stream["endpoint"]["requestUri"])


async def test_a_change_is_told_by_the_stream(opened: tuple[Running, httpx.AsyncClient], database: Database) -> None:
    """With its version, which the next evaluation waits for; a page of an exact origin may read it."""
    _, client = opened
    one = flag("a")
    await until_known(client, await add(database, one))
    async with client.stream("GET", await url_of(client), headers={"origin": PAGE}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["access-control-allow-origin"] == PAGE
        events = Events(response)
        version = await change(database, replace(one, default_variant="on", version=2))
        told = await events.next()
        assert (told["event"], told["id"]) == ("message", str(version))
        assert f'"etag":"{version}"' in told["data"]
        assert '"type":"refetchEvaluation"' in told["data"]
        answer = await client.post(ALL, params={"flagConfigEtag": told["id"]})
        assert answer.json()["flags"][0]["value"] is True
        other = flag("b", flag_set_id="shop")
        await add(database, other)
        third = await change(database, replace(one, default_variant="off", version=3))
        assert (await events.next())["id"] == str(third)


async def test_what_changed_before_the_stream_was_opened_is_told_at_once(
    opened: tuple[Running, httpx.AsyncClient], database: Database
) -> None:
    """Since the evaluation that gave out the URL, or since the last event that was seen."""
    _, client = opened
    one = flag("a")
    await until_known(client, await add(database, one))
    url = await url_of(client)
    second = await change(database, replace(one, default_variant="on", version=2))
    await until_known(client, second)
    async with client.stream("GET", url) as response:
        assert (await Events(response).next())["id"] == str(second)
    async with client.stream("GET", url, headers={"last-event-id": str(second)}) as response:
        events = Events(response)
        third = await change(database, replace(one, default_variant="off", version=3))
        assert (await events.next())["id"] == str(third)


async def test_a_url_that_was_not_given_out_opens_nothing(opened: tuple[Running, httpx.AsyncClient]) -> None:
    """Nor one that was changed by a character."""
    _, client = opened
    url = await url_of(client)
    content, _, signature = url.partition(".")
    other = "A" if content[-1] != "A" else "B"
    for wrong in (
        "/ofrep/v1/events",
        url[:-4],
        f"{content[:-1]}{other}.{signature}",
        "/ofrep/v1/events?right=%C3%BC.x",
    ):
        assert (await client.get(f"/ofrep/v1/events?right={wrong}")).status_code == 401


async def test_a_stream_ends_with_the_right_behind_it(closed: tuple[Running, httpx.AsyncClient]) -> None:
    """An account that may not evaluate any more receives nothing, and its URL is refused."""
    server, client = closed
    key, admin, account_id = await key_of(server, "service")
    url = await url_of(client, **{"x-api-key": key})
    async with client.stream("GET", url) as response:
        assert response.status_code == 200
        await admin.access.DisableAccount(access_pb.DisableAccountRequest(account_id=str(account_id)))
        await Events(response).end()
    assert (await client.get(url)).status_code == 401


async def test_a_stream_ends_as_the_server_stops(database: Database) -> None:
    """So that its client goes on with another server."""
    async with httpx.AsyncClient(timeout=30) as outside, serving(database, flags_open_to=HERE) as (server, client):
        url = server.http + await url_of(client)
        async with outside.stream("GET", url) as response:
            assert response.status_code == 200
            stopping = asyncio.create_task(server.application.drain())
            await Events(response).end()
            await stopping
        assert (await outside.get(url)).status_code == 503


async def test_one_network_has_a_hundred_streams(opened: tuple[Running, httpx.AsyncClient]) -> None:
    """Probes and evaluations are still answered."""
    _, client = opened
    url = await url_of(client)
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=client.base_url, timeout=60, limits=limits) as many:
        async with asyncio.timeout(60):
            requests = [many.build_request("GET", url) for _ in range(101)]
            answers = await asyncio.gather(*(many.send(each, stream=True) for each in requests))
        statuses = sorted(each.status_code for each in answers)
        assert statuses == [200] * 100 + [429]
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.post(ALL)).status_code == 200
        for each in answers:
            await each.aclose()
    async with asyncio.timeout(30):
        while True:
            async with client.stream("GET", url) as response:
                if response.status_code == 200:
                    break
            await asyncio.sleep(0.05)


async def test_a_signature_holds_for_one_content_and_one_purpose() -> None:
    """Whichever of the keys it was made by; the same content is signed alike."""
    old, new = bytes(range(32)), bytes(range(1, 33))
    before, after = MasterKeys([old]), MasterKeys([new, old])
    signature = before.sign("a", b"content")
    assert signature == before.sign("a", b"content")
    assert after.signed("a", b"content", signature)
    for purpose, content, given in (
        ("b", b"content", signature),
        ("a", b"contents", signature),
        ("a", b"content", signature[:-1]),
        ("a", b"content", b""),
        ("ac", b"ontent", signature),
    ):
        assert not after.signed(purpose, content, given)
    assert not MasterKeys([new]).signed("a", b"content", signature)
