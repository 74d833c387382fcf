"""OFREP's event streams, as web pages read them."""

import asyncio
from dataclasses import replace

import httpx

from backroom.identity.v1 import access_service_pb2 as access_pb
from storage.database import Database
from tests.fixtures.servers import Running
from tests.flags.keeping import add, change
from tests.flags.ofrep import ALL, HERE, PAGE, Events, key_of, serving, until_known, url_of
from tests.flags.values import flag


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
