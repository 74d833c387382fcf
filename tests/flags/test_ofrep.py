"""OFREP over the wire: evaluation, of one flag and of all, and who may evaluate."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from backroom.identity.v1 import access_service_pb2 as access_pb
from storage.database import Database
from tests.fixtures.servers import Running
from tests.flags.keeping import add, change
from tests.flags.ofrep import ALL, HERE, PAGE, answered_by, key_of, serving, until_known
from tests.flags.values import flag

PRO = {"if": [{"==": [{"var": "plan"}, "pro"]}, "on", "off"]}


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
        assert not [text for text in ("owner-x", "ticket-x", "description-x") if text in answer.text]


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
