"""Plain clients that keep calling while servers are restarted one after the other."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from tests.contract.stand_ins import get_me
from tests.faults.load import any_order
from tests.fixtures.processes import ServerProcess, serving
from tests.fixtures.servers import Api

CHANNELS = 4
MAX_AT_ONCE = 100
DEADLINE_SECONDS = 25.0
_RECONNECT_MS = 2000


@dataclass
class Tally:
    """The outcomes of the calls."""

    codes: Counter[str] = field(default_factory=Counter)
    text: Counter[str] = field(default_factory=Counter)
    """By the texts of those that failed."""
    asked: set[str] = field(default_factory=set)
    orders: dict[str, str] = field(default_factory=dict)
    """The order's id, by the request_id that placed it."""
    slowest: float = 0.0
    """In seconds."""


def channel_to(ports: Sequence[int], number: int) -> grpc.aio.Channel:
    """A default gRPC client of several servers in turn; `number` keeps its connections separate.

    Only its reconnection backoff is shorter: by default it would retry a refused address up to two minutes later,
    when the next server may be down.
    """
    target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
    options = [("grpc.lb_policy_name", "round_robin"), ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS)]
    return grpc.aio.insecure_channel(
        target, options=[*options, ("grpc.use_local_subchannel_pool", 1), ("number", number)]
    )


@asynccontextmanager
async def calling(apis: Sequence[Api], per_second: float, tally: Tally) -> AsyncIterator[None]:
    """This many calls a second until the block ends; every fourth places an order."""

    async def call(number: int) -> None:
        api = apis[number % len(apis)]
        await (_ordered(api, tally) if number // len(apis) % 4 == 0 else get_me(api, timeout=DEADLINE_SECONDS))

    async with repeating(call, per_second, tally):
        yield


@asynccontextmanager
async def repeating(call: Callable[[int], Awaitable[None]], per_second: float, tally: Tally) -> AsyncIterator[None]:
    """This many calls a second, by their numbers, until the block ends, whatever happens to earlier ones.

    Fewer if the machine is too slow: overload is tested elsewhere.
    """
    over = asyncio.Event()

    async def one(number: int) -> None:
        began = time.monotonic()
        try:
            await call(number)
            tally.codes["OK"] += 1
        except grpc.aio.AioRpcError as error:
            tally.codes[error.code().name] += 1
            tally.text[str(error.details())] += 1
        tally.slowest = max(tally.slowest, time.monotonic() - began)

    async def all_of_them() -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            number = 0
            while not over.is_set():
                group.create_task(one(number))
                number += 1
                while sum(tally.codes.values()) < number - MAX_AT_ONCE:  # noqa: ASYNC110 - it is a plain count
                    await asyncio.sleep(0.01)
                await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))

    calls = asyncio.create_task(all_of_them())
    try:
        yield
    finally:
        over.set()
        await calls


async def _ordered(api: Api, tally: Tally) -> None:
    request = any_order()
    tally.asked.add(request.request_id)
    stub: Any = api.orders
    tally.orders[request.request_id] = (await stub.PlaceOrder(request)).order.order_id


class Fleet:
    """Several servers on fixed addresses, which restarts keep."""

    def __init__(
        self,
        database_url: str,
        size: int,
        *options: str,
        setting: str = "BACKROOM_GRPC_ADDRESS",
        **environment: str,
    ) -> None:
        """`setting` is that of the addresses; the servers' others may differ after a restart."""
        self._database_url = database_url
        self._setting = setting
        self._options = options
        self._environment = environment
        self.ports = [free_port() for _ in range(size)]
        self._running: list[AsyncExitStack] = []
        self.exit_codes: list[int] = []

    async def start(self) -> None:
        self._running = [await self._started(port) for port in self.ports]

    async def restart(self, number: int) -> None:
        """Stops one as an operator does, and returns when another serves at its address."""
        await self._running[number].aclose()
        self._running[number] = await self._started(self.ports[number])

    async def close(self) -> None:
        for each in self._running:
            await each.aclose()

    async def _started(self, port: int) -> AsyncExitStack:
        stack = AsyncExitStack()
        settings: dict[str, Any] = {**self._environment, self._setting: f"127.0.0.1:{port}"}
        server = await stack.enter_async_context(serving(self._database_url, *self._options, **settings))
        stack.push_async_callback(self._stop, server)
        return stack

    async def _stop(self, server: ServerProcess) -> None:
        self.exit_codes.append(await server.terminate())


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
