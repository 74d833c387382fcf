"""What one caller who may evaluate can make the server spend: bounded, and paid for by that caller alone."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import ip_network
from time import perf_counter, process_time
from typing import Any

import grpc
import pytest

from flagd.evaluation.v1 import evaluation_service_pb2 as v1
from flagd.sync.v1 import sync_service_pb2 as sync
from server.flags.errors import TargetingFailed
from server.flags.rules.evaluating import MAX_SECONDS, Evaluation, evaluated, evaluated_all
from server.frame.interceptors import CallLimits
from server.frame.interceptors.shedding import ConcurrencyLimits
from storage.database import Database
from tests.fixtures.http import plain_client
from tests.fixtures.servers import refusal
from tests.flags.keeping import add
from tests.flags.ofrep import ALL, HERE, serving, until_known
from tests.flags.values import SECONDS, flag, snapshot
from tests.flags.wire import Flagd, known, serving_flags, struct

SENT = {"var": "sent"}
MEMBER = {"some": [SENT, {"==": [{"var": ""}, "staff"]}]}
PAUSE_SECONDS = 1.0
"""How long another caller may wait while one evaluates what takes long; on a busy machine."""


def cost(rule: Any, sent: Any) -> float:
    """In seconds of a core: one evaluation, whatever it ends in."""
    view = snapshot(flag("f", targeting={"if": [rule, "on"]})).view("")
    began = process_time()
    with suppress(TargetingFailed):
        evaluated(view, "f", {"sent": sent, "targetingKey": "u"}, SECONDS)
    return process_time() - began


@pytest.mark.parametrize(
    "version",
    [
        "1.0.0-" + "a." * 30_000,
        "1.0.0-" + "-" * 60_000,
        "1.0.0-" + "0" * 60_000,
        "1.0.0-" + "0a" * 30_000 + "!",
        "1" * 60_000 + ".0.0",
        "1.0." + "1" * 60_000,
        "1.0.0+" + "a." * 30_000,
        " " * 60_000 + "1.0.0",
        "v" * 60_000,
    ],
    ids=lambda version: version[:8],
)
def test_no_version_takes_long_to_compare(version: str) -> None:
    """None is matched by trying each way through it."""
    assert cost({"sem_ver": [SENT, "^", "1.0.0"]}, version) < 0.2


@pytest.mark.parametrize(
    "rule",
    [
        {"in": [SENT, SENT]},
        {"==": [SENT, "a"]},
        {"starts_with": [SENT, SENT]},
        {"<": [SENT, 1]},
        {"+": [SENT, SENT]},
        {"fractional": [SENT, ["on", 1], ["off", 1]]},
        {"fractional": [{"cat": [SENT]}, ["on", 1], ["off", 1]]},
        {"missing": SENT},
        MEMBER,
        {"filter": [SENT, {">": [{"var": ""}, 5]}]},
    ],
    ids=lambda rule: next(iter(rule)),
)
@pytest.mark.parametrize(
    "sent",
    ["9" * 60_000, "a" * 60_000, [1] * 30_000, {str(number): number for number in range(5_000)}],
    ids=["digits", "text", "list", "object"],
)
def test_an_operator_takes_as_long_as_what_is_sent_is_large(rule: Any, sent: Any) -> None:
    """A body of 64 KiB takes a part of a second, by whichever operator."""
    assert cost(rule, sent) < 1.0


@pytest.mark.parametrize(
    ("operator", "first"), [("cat", "aa"), ("merge", [1, 2]), ("*", 10), ("*", 10.0), ("+", 10)], ids=str
)
def test_what_doubles_for_each_element_of_a_list_ends(operator: str, first: Any) -> None:
    """A list of a hundred elements would make a text longer than any memory."""
    kept = {"var": "accumulator"}
    rule = {"reduce": [SENT, {operator: [kept, kept]}, first]}
    assert cost(rule, [1] * 100) < 1.0


def test_a_value_that_grew_too_large_is_the_flags_fault() -> None:
    """As any other that a rule cannot be evaluated on."""
    kept = {"var": "accumulator"}
    view = snapshot(flag("f", targeting={"reduce": [SENT, {"cat": [kept, kept]}, "aa"]})).view("")
    with pytest.raises(TargetingFailed):
        evaluated(view, "f", {"sent": [1] * 100}, SECONDS)


def test_nesting_as_deep_as_a_body_allows_is_the_flags_fault() -> None:
    """It ends neither the process nor another flag's evaluation."""
    sent: Any = "x"
    for _ in range(1000):
        sent = [sent]
    for rule in ({"==": [SENT, "x"]}, {"cat": [SENT]}, {"fractional": [{"var": "deep"}, ["on", 1]]}):
        view = snapshot(flag("f", targeting={"if": [rule, "on"]}), flag("g", default="on")).view("")
        with pytest.raises(TargetingFailed):
            evaluated(view, "f", {"sent": sent, "deep": {"a": sent}}, SECONDS)
        assert evaluated(view, "g", {"sent": sent}, SECONDS).value is True


def test_all_flags_of_a_set_take_a_bounded_time() -> None:
    """Those that it is too late for fail, each by itself."""
    flags = [flag(f"f{number}", targeting={"if": [MEMBER, "on"]}) for number in range(4)]
    spent = iter([0.0, 1.0, 2.0, MAX_SECONDS + 1, MAX_SECONDS + 2])
    found = evaluated_all(snapshot(*flags).view(""), {"sent": ["staff"]}, SECONDS, lambda: next(spent))
    kinds = [type(found[f"f{number}"]) for number in range(4)]
    assert kinds == [Evaluation, Evaluation, TargetingFailed, TargetingFailed]


async def longest_wait(other: Any, meanwhile: Any) -> float:
    """In seconds: of another caller's calls, one after the other, until something has ended."""
    longest = 0.0
    task = asyncio.ensure_future(meanwhile)
    while not task.done():
        began = perf_counter()
        await other()
        longest = max(longest, perf_counter() - began)
        await asyncio.sleep(0.005)
    await task
    return longest


async def test_others_are_answered_while_one_evaluates_all_flags_by_a_large_context(database: Database) -> None:
    """Fifty flags that each go through a long list take seconds by OFREP; nobody else waits for them."""
    await add(database, *(flag(f"f{number}", targeting={"if": [MEMBER, "on"]}) for number in range(50)))
    async with serving_flags(database, ofrep_calls_per_second=0.0) as server:
        await known(server.channel, "f0")
        flagd, context = Flagd(server.channel), {"sent": [1] * 10_000}
        request = v1.ResolveAllRequest(context=struct({"sent": [1] * 1_000}))
        async with plain_client(server.http, timeout=60) as client:
            ways: list[Callable[[], Awaitable[Any]]] = [
                lambda: client.post(ALL, json={"context": context}),
                lambda: flagd.v1.ResolveAll(request),
            ]
            for evaluating in ways:
                began = perf_counter()
                waited = await longest_wait(lambda: flagd.boolean("f1"), evaluating())
                took = perf_counter() - began
                assert waited < max(PAUSE_SECONDS, took / 2)


async def test_what_is_evaluated_for_long_is_paid_for_by_its_caller(database: Database) -> None:
    """By OFREP: a caller whose one call took as long as hundreds waits as long as they would have to."""
    async with serving(database, flags_open_to=HERE, ofrep_calls_per_second=20.0) as (_, client):
        flags = (flag(f"f{number}", targeting={"if": [MEMBER, "on"]}) for number in range(40))
        await until_known(client, await add(database, *flags))
        heavy = await client.post(ALL, json={"context": {"sent": [1] * 5_000}}, timeout=60)
        assert heavy.status_code == 200
        refused = await client.post(ALL, json={})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 2


async def test_a_large_context_is_evaluated_as_a_small_one(database: Database) -> None:
    """By the methods of each wire, and counted."""
    await add(database, flag("f", targeting={"if": [MEMBER, "on"]}), flag("n", {"n": 3}, "n", {"if": [MEMBER, "n"]}))
    async with serving_flags(database, ofrep_calls_per_second=0.0) as server:
        await known(server.channel, "f")
        flagd, context = Flagd(server.channel), {"sent": [*["x"] * 1_000, "staff"]}
        assert (await flagd.boolean("f", **context)).reason == "TARGETING_MATCH"
        found = await flagd.v1.ResolveAll(v1.ResolveAllRequest(context=struct(context)))
        assert (found.flags["f"].bool_value, found.flags["n"].double_value) == (True, 3)
        one = await flagd.v1.ResolveInt(v1.ResolveIntRequest(flag_key="n", context=struct(context)))
        assert (one.value, one.reason) == (3, "TARGETING_MATCH")
        async with plain_client(server.http, timeout=60) as client:
            answer = await client.post(f"{ALL}/f", json={"context": context})
            assert (answer.json()["value"], answer.json()["reason"]) == (True, "TARGETING_MATCH")


async def test_one_open_network_leaves_streams_to_others(database: Database) -> None:
    """It has at most half of what callers without more rights have; one that ends makes room for another one."""
    await add(database, flag("f"))
    limits = CallLimits(at_once=ConcurrencyLimits(streams=8, per_caller=2))  # 7 of them, but for staff and services
    proxies = {"trusted_proxies": HERE, "flags_open_to": (*HERE, ip_network("198.51.100.0/24"))}
    async with serving_flags(database, limits=limits, **proxies) as server:
        await known(server.channel, "f", address="198.51.100.1")
        await server.idle()
        one = Flagd(server.channel, address="198.51.100.7")
        streams = [one.events(), one.events(), one.sync.SyncFlags(sync.SyncFlagsRequest())]
        for each in streams:
            await each.read()
        for refused in (one.events(), one.sync.SyncFlags(sync.SyncFlagsRequest())):
            found = await refusal(ended(refused))
            assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CONCURRENT_CALLS")
        assert (await one.boolean("f")).value is False
        other = Flagd(server.channel, address="198.51.100.8").events()
        assert (await other.read()).type == "provider_ready"
        streams.pop().cancel()
        async with asyncio.timeout(30):
            while True:
                another = one.events()
                try:
                    assert (await another.read()).type == "provider_ready"
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.05)
        for each in (*streams, another, other):
            each.cancel()


async def ended(stream: Any) -> None:
    """Raises what the stream ended with."""
    async for _ in stream:
        pass
