"""Calls above the server's capacity are refused before any work."""

import asyncio
from typing import Any

import grpc
import pytest

from backroom.commerce.v1 import inventory_service_pb2
from server.frame.interceptors import CallLimits, ConcurrencyLimits
from storage.database import Database
from tests.commerce.watched import begun
from tests.contract.probes import checked
from tests.contract.stand_ins import Slow, get_me
from tests.faults.load import until
from tests.fixtures.servers import Api, Running, refusal, running

WATCH = inventory_service_pb2.WatchStockRequest()
NARROW = CallLimits(ConcurrencyLimits(calls=3, streams=2))


async def held(api: Api, opened: Running, monkeypatch: pytest.MonkeyPatch, count: int) -> list[Any]:
    """This many calls that stay under way."""
    slow = Slow()
    monkeypatch.setattr(opened.application.identity.accounts, "get", slow)
    calls = [asyncio.ensure_future(get_me(api)) for _ in range(count)]
    await asyncio.wait_for(slow.began.wait(), 300)
    await until(lambda: counted(opened, "backroom_calls_under_way") == count)
    return calls


def counted(opened: Running, name: str) -> float | None:
    """The number of unary calls under way."""
    return opened.application.registry.get_sample_value(name, {"kind": "unary"})


async def ended(calls: list[Any]) -> None:
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_excess_calls_are_refused_with_a_time_to_retry(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the token is checked; health and reflection are answered, and once calls have ended, more are accepted."""
    async with running(database, limits=NARROW) as opened:
        api = await opened.sign_in("customer")
        calls = await held(api, opened, monkeypatch, 3)
        for caller in (api, Api(opened.channel, "no token at all")):
            found = await refusal(get_me(caller))
            assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
            assert found.retry_after is not None
        assert await checked(opened.channel, "liveness") == "SERVING"
        assert counted(opened, "backroom_calls_shed_total") == 2
        await ended(calls)
        await opened.idle()
        monkeypatch.undo()
        assert (await get_me(api)).user.user_id == str(api.account_id)
        assert counted(opened, "backroom_calls_under_way") == 0


async def test_streams_are_counted_separately(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches do not use up the bound on calls, nor calls that on watches."""
    async with running(database, limits=NARROW) as opened:
        api = await opened.sign_in("service")
        watches = [api.inventory.WatchStock(WATCH, timeout=None) for _ in range(2)]
        for watch in watches:
            await begun(watch)
        found = await refusal(api.inventory.WatchStock(WATCH).read())
        assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert (await get_me(api)).user.user_id == str(api.account_id)
        watches.pop().cancel()
        calls = await held(api, opened, monkeypatch, 3)
        await begun(taken := api.inventory.WatchStock(WATCH, timeout=None))
        for watch in (*watches, taken):
            watch.cancel()
        await ended(calls)
