"""A rolling restart of servers fails no call of a plain client."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from storage.database import Database
from tests.faults.load import goods, until
from tests.faults.rolling import CHANNELS, Fleet, Tally, calling, channel_to, repeating
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.processes import ServerProcess, serving
from tests.fixtures.servers import Api, sign_in
from tests.flags.keeping import add
from tests.flags.values import flag
from tests.flags.wire import Flagd
from tests.invariants import assert_kept
from tests.process.test_workers import workers_of

CALLS_PER_SECOND = 200.0
BY_DEFAULT: dict[str, Any] = {"BACKROOM_DRAIN_SECONDS": ""}
"""The default settings, which the tests' servers change to stop sooner."""
RESTARTS = int(os.environ.get("BACKROOM_TEST_RESTARTS", "2"))
"""Of each server."""
pytestmark = pytest.mark.long


async def _signed_in(database: Database, channels: list[grpc.aio.Channel]) -> list[Api]:
    first = await sign_in(application_of(database, QUIET), channels[0], ["service"])
    await goods(first)
    return [Api(channel, first.token, first.account_id) for channel in channels]


async def test_a_rolling_restart_fails_no_call(
    database: Database, database_url: str, record_property: Callable[[str, object], None]
) -> None:
    """With the default settings and gRPC's plain client, each server in turn, and no order is lost."""
    fleet, tally = Fleet(database_url, 2, **BY_DEFAULT), Tally()
    async with AsyncExitStack() as stack:
        await fleet.start()
        stack.push_async_callback(fleet.close)
        channels = [await stack.enter_async_context(channel_to(fleet.ports, each)) for each in range(CHANNELS)]
        apis = await _signed_in(database, channels)
        async with calling(apis, CALLS_PER_SECOND, tally):
            began = time.monotonic()
            await asyncio.sleep(1)
            for _ in range(RESTARTS):
                for number in range(2):
                    await fleet.restart(number)
            await asyncio.sleep(1)
            record_property("calls_per_second", round(tally.codes.total() / (time.monotonic() - began)))
    for name, figure in (("restarts", 2 * RESTARTS), ("codes", dict(tally.codes)), ("slowest_seconds", tally.slowest)):
        record_property(name, figure)
    assert set(tally.codes) == {"OK"}, (tally.codes, tally.text, tally.slowest)
    assert set(fleet.exit_codes) == {0}
    assert tally.asked == set(tally.orders)
    assert_kept(database_url, tally.orders.values())


async def test_a_rolling_restart_fails_no_evaluation_at_flagds_port(database: Database, database_url: str) -> None:
    """Each server in turn, by clients that know no other port of it."""
    await add(database, flag("a", default="on"))
    settings = BY_DEFAULT | {"BACKROOM_FLAGS_OPEN_TO": "127.0.0.0/8"}
    fleet, tally = Fleet(database_url, 2, setting="BACKROOM_FLAGD_ADDRESS", **settings), Tally()
    async with AsyncExitStack() as stack:
        await fleet.start()
        stack.push_async_callback(fleet.close)
        channels = [await stack.enter_async_context(channel_to(fleet.ports, each)) for each in range(CHANNELS)]

        async def evaluate(number: int) -> None:
            assert (await Flagd(channels[number % CHANNELS]).boolean("a")).value is True

        async with repeating(evaluate, CALLS_PER_SECOND, tally):
            for number in range(2):
                await asyncio.sleep(1)
                answered = tally.codes["OK"]
                await fleet.restart(number)
                assert tally.codes["OK"] > answered
            await asyncio.sleep(1)
    assert set(tally.codes) == {"OK"}, (tally.codes, tally.text, tally.slowest)
    assert set(fleet.exit_codes) == {0}


async def test_one_of_several_workers_is_replaced_and_fails_no_call(database: Database, database_url: str) -> None:
    """Stopped by SIGTERM, unlike a process killed for lack of memory, it finishes the calls that it accepted."""
    tally = Tally()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(database_url, "--workers", "2", **BY_DEFAULT))
        ports = [server.grpc_port]
        channels = [await stack.enter_async_context(channel_to(ports, each)) for each in range(2 * CHANNELS)]
        apis = await _signed_in(database, channels)
        serving_now = sorted(workers_of(server.process.pid))[:2]  # the third one runs the jobs
        async with calling(apis, CALLS_PER_SECOND, tally):
            for _ in range(RESTARTS):
                await asyncio.sleep(1)
                os.kill(serving_now.pop(0), signal.SIGTERM)
                already = len(_begun(server))
                await until(lambda: len(_begun(server)) > already, within=90)  # noqa: B023 - awaited within the loop
                serving_now.append(_begun(server)[-1])
            await asyncio.sleep(1)
    assert set(tally.codes) == {"OK"}, (tally.codes, tally.text, tally.slowest)
    assert tally.asked == set(tally.orders)
    assert_kept(database_url, tally.orders.values())


def _begun(server: ServerProcess) -> list[int]:
    """The processes that have started to serve in place of others."""
    lines = (json.loads(line) for line in server.text if line.startswith(b"{"))
    return [line["pid"] for line in lines if line["event"] == "worker_serving"]
