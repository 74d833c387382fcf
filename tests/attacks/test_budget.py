"""The budget of SECURITY.md: what a caller with or without a customer's token can cost with 1,000 streams and 1 MB."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import grpc
import pytest

from server.process.connections import ConnectionLimits
from storage.database import Database
from tests.attacks.further import FURTHER
from tests.attacks.measure import Cost, Probe, reset_peak, resident, settled
from tests.attacks.table import ATTACKS, BYTES, Attack
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.postgres import migrated
from tests.fixtures.processes import ServerProcess, serving
from tests.fixtures.servers import sign_in

MAX_MEGABYTES = {"stranger": 50.0, "customer": 100.0}
MAX_DELAY_CPU_SECONDS = 0.25
FROZEN_SECONDS = 10.0
"""By the clock, which other work on the machine delays too: only a server that waits for something is so late."""
_TRIES = 8
"""A probe that runs late after its answer arrives counts the CPU of other calls: the least of so many runs counts."""


@dataclass(frozen=True)
class Attacked:
    """A server with default settings, which attacks meet one after the other."""

    server: ServerProcess
    probe: Probe
    fresh_megabytes: float
    """Its memory once it had answered a few probes."""
    addresses: Iterator[int] = field(default_factory=lambda: count(1))

    def cost(self, attack: Attack, token: str) -> Cost:
        """What an attack costs, by all that the server's memory has grown since its start.

        Each comes from an address of its own, as its caller's token is new: no rate limit of one before shields the
        server from it.
        """
        pid, port = self.server.process.pid, self.server.grpc_port
        self.probe.start(self.server.address, pid)
        settled(pid)
        reset_peak(pid)
        sent = attack.run(port, token, f"127.0.1.{next(self.addresses)}")
        waits = self.probe.stop()
        assert sent <= BYTES * 1.01, f"{sent:,} bytes are more than the budget speaks of"
        longest, busiest = (max(each) for each in zip(*waits, strict=True))
        return Cost(resident(pid, "VmHWM") - self.fresh_megabytes, longest, busiest, len(waits))


def _fresh_megabytes(server: ServerProcess, probe: Probe) -> float:
    probe.start(server.address, server.process.pid)
    found = settled(server.process.pid)
    probe.stop()
    return found


class Servers:
    """The server under attack, and the next one once it is worn out."""

    def __init__(self, database_url: str, database: Database) -> None:
        self._url = database_url
        self._application = application_of(database, QUIET)
        self._probe = Probe()
        self._running = AsyncExitStack()
        self._attacked: Attacked | None = None

    async def attacked(self) -> tuple[Attacked, bool]:
        """A server that runs, and whether it is fresh."""
        if self._attacked is not None:
            return self._attacked, False
        # Its rate of calls is the default one, which the other tests' servers do not have.
        # Nor is it forked: what it shares with the process that forks would count as its memory once it is used.
        server = await self._running.enter_async_context(serving(self._url, anew=True, BACKROOM_CALLS_PER_SECOND=""))
        fresh_megabytes = await asyncio.to_thread(_fresh_megabytes, server, self._probe)
        self._attacked = Attacked(server, self._probe, fresh_megabytes)
        return self._attacked, True

    async def renew(self) -> None:
        """Ends the server that runs: the next attack meets a fresh one."""
        self._attacked = None
        await self._running.aclose()

    async def close(self) -> None:
        await self.renew()
        self._probe.close()

    async def token(self) -> str:
        """A new customer's."""
        await self._application.prepare()
        async with grpc.aio.insecure_channel("127.0.0.1:1") as nowhere:
            found = (await sign_in(self._application, nowhere, ["customer"])).token
        assert found is not None
        return found


@pytest.fixture(scope="module")
async def servers(postgres: str, request: pytest.FixtureRequest) -> AsyncIterator[Servers]:
    with migrated(postgres, request) as url:
        database = Database(url, audit_key=MASTER_KEYS.audit_key, pool_size=2)
        made = Servers(url, database)
        yield made
        await made.close()
        await database.close()


UNBOUNDED_BODIES = ("grpc.compression_enabled_algorithms_bitset", 1) not in ConnectionLimits().options()


def _rows() -> list[Any]:
    return [pytest.param(attack, id=attack.name, marks=_marks(attack)) for attack in (*ATTACKS, *FURTHER)]


def _marks(attack: Attack) -> list[Any]:
    taken = pytest.mark.skipif(UNBOUNDED_BODIES, reason="this server bounds no method's body")
    exceeds = pytest.mark.xfail(reason=attack.exceeds, strict=False)
    return [*([taken] if attack.bodies else []), *([exceeds] if attack.exceeds else [])]


@pytest.mark.parametrize("attack", _rows())
async def test_an_attack_stays_within_the_budget(servers: Servers, attack: Attack) -> None:
    """Neither its memory nor the delay of Health/Check exceeds the budget, and the server goes on to answer.

    Where its memory does on a server that others have attacked before, it has to stay within the budget on a fresh one.
    """
    costs: list[Cost] = []
    for tries in range(_TRIES):
        attacked, fresh = await servers.attacked()
        cost = await asyncio.to_thread(attacked.cost, attack, await servers.token())
        if cost.megabytes <= MAX_MEGABYTES[attack.who] and _in_time(cost):
            return
        costs.append(cost)
        if cost.megabytes > MAX_MEGABYTES[attack.who]:
            await servers.renew()
            assert not fresh, costs
        elif tries == _TRIES // 2:
            await servers.renew()  # it may be slow by what others have done to it
    raise AssertionError(f"it delays others: {costs}")


def _in_time(cost: Cost) -> bool:
    return cost.cpu_seconds <= MAX_DELAY_CPU_SECONDS and cost.wait_seconds <= FROZEN_SECONDS
