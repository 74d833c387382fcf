"""The changes that flagd's clients receive, and the flag sets that they sync, from one server and from two."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import grpc
import pytest

import server.flags.service.changes as changes_module
from flagd.evaluation.v1 import evaluation_service_pb2 as v1
from flagd.sync.v1 import sync_service_pb2 as sync
from server.flags.service.changes import Changes
from storage.database import Database
from storage.flags.records import FlagState, Prerequisite
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.pgbouncer import POOLER
from tests.fixtures.servers import Running, refusal
from tests.flags.keeping import add, change
from tests.flags.values import flag, segment
from tests.flags.wire import Flagd, known, serving_flags, told

SOON_SECONDS = 1.0
"""How soon clients receive a change."""


@pytest.fixture
async def server(database: Database) -> AsyncIterator[Running]:
    async with serving_flags(database) as opened:
        yield opened


@asynccontextmanager
async def servers(url: str, count: int) -> AsyncIterator[list[Running]]:
    """Several on one database, each with connections of its own."""
    async with AsyncExitStack() as opened:
        found = []
        for _ in range(count):
            database = Database(url, audit_key=MASTER_KEYS.audit_key, pool_size=3, pooler=POOLER)
            opened.push_async_callback(database.close)
            found.append(await opened.enter_async_context(serving_flags(database)))
        yield found


@contextmanager
def listening(flagd: Flagd) -> Iterator[Any]:
    events = flagd.events()
    try:
        yield events
    finally:
        events.cancel()


async def next_event(events: Any) -> tuple[str, dict[str, str]]:
    async with asyncio.timeout(30):
        return told(await events.read())


async def test_a_listener_is_told_at_once_and_then_of_each_change(server: Running, database: Database) -> None:
    """No change of long ago is sent, and none of another flag set."""
    one = flag("a")
    await add(database, one, flag("b"))
    await known(server.channel, "a", "b")
    with (
        listening(Flagd(server.channel)) as events,
        listening(Flagd(server.channel, selector="flagSetId=shop")) as shop,
    ):
        assert await next_event(events) == ("provider_ready", {})
        assert await next_event(shop) == ("provider_ready", {})
        await add(database, flag("c"))
        assert await next_event(events) == ("configuration_change", {"c": "create"})
        await change(database, replace(one, state=FlagState.DISABLED, version=2))
        assert await next_event(events) == ("configuration_change", {"a": "update"})
        await change(database, replace(one, archived=True, version=3))
        assert await next_event(events) == ("configuration_change", {"a": "delete"})
        await add(database, flag("d", flag_set_id="shop"))
        assert await next_event(shop) == ("configuration_change", {"d": "create"})


async def test_a_new_stream_begins_with_what_changed_recently(server: Running, database: Database) -> None:
    """A client whose stream ended cached what it had, and does not know what changed before it came back."""
    now = datetime.now(UTC)
    recent = replace(flag("new"), update_time=now - timedelta(seconds=30))
    needing = replace(flag("needing"), prerequisites=(Prerequisite("new", ("on",)),))
    gone = replace(flag("gone"), archived=True, update_time=now - timedelta(seconds=30))
    long_gone = replace(flag("long_gone"), archived=True)
    await add(database, flag("old"), recent, needing, gone, long_gone)
    await known(server.channel, "old", "new", "needing")
    with listening(Flagd(server.channel)) as events:
        assert await next_event(events) == ("provider_ready", {})
        told = {"new": "update", "needing": "update", "gone": "delete"}
        assert await next_event(events) == ("configuration_change", told)
    with listening(Flagd(server.channel, selector="flagSetId=shop")) as shop:
        assert await next_event(shop) == ("provider_ready", {})
        await add(database, flag("d", flag_set_id="shop"))
        assert await next_event(shop) == ("configuration_change", {"d": "create"})


async def test_version_1_tells_the_same(server: Running, database: Database) -> None:
    """Older clients listen by it."""
    events = Flagd(server.channel).v1.EventStream(v1.EventStreamRequest())
    assert await next_event(events) == ("provider_ready", {})
    await add(database, flag("a"))
    assert await next_event(events) == ("configuration_change", {"a": "create"})
    events.cancel()


async def test_a_change_that_no_client_can_see_is_not_told(server: Running, database: Database) -> None:
    """Such as of an owner, or a description: the next event is of the next change."""
    one = flag("a")
    await add(database, one)
    await known(server.channel, "a")
    with listening(Flagd(server.channel)) as events:
        assert await next_event(events) == ("provider_ready", {})
        await change(database, replace(one, owner="ada", version=2))
        await add(database, flag("b"))
        assert "b" in (await next_event(events))[1]


async def test_a_flag_that_needs_a_changed_one_is_told_with_it(server: Running, database: Database) -> None:
    """So that a client with a cache drops both."""
    staff = segment("staff", {"==": [{"var": "team"}, "a"]})
    targeted = flag("a", targeting={"if": [{"$ref": "staff"}, "on"]})
    await add(database, targeted, flag("b"), segments=[staff])
    await known(server.channel, "a", "b")
    with listening(Flagd(server.channel)) as events:
        await next_event(events)
        changed = replace(staff, rule={"==": [{"var": "team"}, "b"]}, version=2)
        await change(database, segments=[changed])
        assert await next_event(events) == ("configuration_change", {"a": "update"})


async def test_a_listener_hears_that_the_stream_is_alive(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though changes of other sets come more often than that."""
    assert changes_module.QUIET_SECONDS == 20.0
    monkeypatch.setattr(Changes.__init__, "__kwdefaults__", {"quiet_seconds": 0.4})
    async with serving_flags(database) as server:
        with listening(Flagd(server.channel)) as events:
            assert await next_event(events) == ("provider_ready", {})
            alive = asyncio.create_task(next_event(events))
            number = 0
            while not alive.done() and number < 300:
                await add(database, flag(f"f{number}", flag_set_id="other"))
                number += 1
                await asyncio.sleep(0.05)
            assert await alive == ("keep_alive", {})


async def test_a_flag_set_is_synced_whole_and_again_when_it_has_changed(server: Running, database: Database) -> None:
    """As flagd's JSON, without owner, ticket and description."""
    one = flag("a", default="on", metadata={"team": "x"}, owner="ada", ticket="SHOP-1", description="why")
    await add(database, one, flag("other", flag_set_id="shop"))
    flagd = Flagd(server.channel)
    stream = flagd.sync.SyncFlags(sync.SyncFlagsRequest(provider_id="test"))
    expected = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    while not (first := json.loads((await stream.read()).flag_configuration))["flags"]:
        pass
    assert first == {"flags": {"a": {**expected, "metadata": {"team": "x"}}}}
    assert json.loads((await flagd.sync.FetchAllFlags(sync.FetchAllFlagsRequest())).flag_configuration) == first

    await add(database, flag("unseen", flag_set_id="shop"))
    await change(database, replace(one, default_variant="off", version=2))
    async with asyncio.timeout(30):
        second = json.loads((await stream.read()).flag_configuration)
    assert second["flags"]["a"]["defaultVariant"] == "off"
    assert set(second["flags"]) == {"a"}
    stream.cancel()


async def test_the_selector_in_the_body_counts_where_none_is_in_the_metadata(
    server: Running, database: Database
) -> None:
    """It is deprecated there, and clients of before send no other."""
    await add(database, flag("a"), flag("b", flag_set_id="shop"))
    await known(server.channel, "a")
    by_body = await Flagd(server.channel).fetch(selector="flagSetId=shop")
    both = await Flagd(server.channel, selector="flagSetId=none").fetch(selector="flagSetId=shop")

    assert set(json.loads(by_body.flag_configuration)["flags"]) == {"b"}
    assert json.loads(both.flag_configuration)["flags"] == {}


async def test_a_large_set_is_written_once_for_all_and_refused_where_clients_would_not_take_it(
    server: Running, database: Database
) -> None:
    """Their limit is 4 MiB; the message says how large it is, and what to do."""
    heavy = {"on": "x" * 3000, "off": ""}
    await add(database, *(flag(f"f{number}", heavy, flag_set_id="shop") for number in range(1000)))
    await known(server.channel, "f999", selector="flagSetId=shop")
    flagd = Flagd(server.channel, selector="flagSetId=shop")
    found = await asyncio.gather(*(flagd.fetch() for _ in range(5)))
    assert len({each.flag_configuration for each in found}) == 1
    assert len(json.loads(found[0].flag_configuration)["flags"]) == 1000

    stream = flagd.sync.SyncFlags(sync.SyncFlagsRequest())
    await stream.read()
    await add(database, *(flag(f"g{number}", heavy, flag_set_id="shop") for number in range(400)))
    assert (await refusal(ended(stream))).reason == "FLAG_SET_TOO_LARGE"
    too_large = await refusal(flagd.fetch())
    assert (too_large.code, too_large.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FLAG_SET_TOO_LARGE")
    assert "divide it" in too_large.message
    assert int(too_large.metadata["size_bytes"]) > int(too_large.metadata["limit_bytes"]) > 4_000_000


async def ended(stream: Any) -> None:
    """Reads a stream until it ends, and raises how it did."""
    async with asyncio.timeout(60):
        while await stream.read() is not grpc.aio.EOF:
            pass
        await stream


async def test_metadata_is_unimplemented_as_clients_expect(server: Running) -> None:
    """They ask for it first, and go on without."""
    found = await refusal(Flagd(server.channel).sync.GetMetadata(sync.GetMetadataRequest()))

    assert (found.code, found.reason) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")


async def test_a_change_is_told_within_a_second_by_each_of_two_servers(database_url: str) -> None:
    """Whichever of them, or of others, made it; the quickest of ten, since this machine may be busy."""
    async with servers(database_url, 2) as running:
        writer = running[0].database
        with listening(Flagd(running[0].channel)) as one, listening(Flagd(running[1].channel)) as other:
            await asyncio.gather(next_event(one), next_event(other))
            took = []
            for number in range(10):
                began = perf_counter()
                await add(writer, flag(f"f{number}"))
                heard = await asyncio.gather(next_event(one), next_event(other))
                took.append(perf_counter() - began)
                assert list(heard) == [("configuration_change", {f"f{number}": "create"})] * 2
    assert min(took) < SOON_SECONDS


async def test_a_hundred_quick_changes_end_on_the_same_flags_everywhere(database_url: str) -> None:
    """By two servers at once, on both of them and for their clients that sync."""
    async with servers(database_url, 2) as running:
        one = flag("counter", {"n": 0}, "n")
        await add(running[0].database, one)
        for number in range(100):
            changed = replace(one, variants={"n": number + 1}, version=number + 2)
            await change(running[number % 2].database, changed)
        for each in running:
            stream = Flagd(each.channel).sync.SyncFlags(sync.SyncFlagsRequest())
            async with asyncio.timeout(30):
                while True:
                    found = json.loads((await stream.read()).flag_configuration)["flags"]
                    if found and found["counter"]["variants"]["n"] == 100:
                        break
            stream.cancel()


async def test_a_stop_ends_the_streams_and_says_so(server: Running) -> None:
    """With the code on which clients connect to another server; evaluation goes on until the end."""
    flagd = Flagd(server.channel)
    with listening(flagd) as events:
        await next_event(events)
        stream = flagd.sync.SyncFlags(sync.SyncFlagsRequest())
        await stream.read()
        await server.application.drain()
        found = [await refusal(ended(each)) for each in (events, stream)]
    assert [(each.code, each.reason) for each in found] == [(grpc.StatusCode.UNAVAILABLE, "STOPPING")] * 2
    assert (await refusal(flagd.boolean("a"))).reason == "FLAG_NOT_FOUND"
