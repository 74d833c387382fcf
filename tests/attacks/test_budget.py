"""The budget of SECURITY.md: what a caller with or without a customer's token can cost with 1,000 streams and 1 MB."""

import asyncio
from typing import Any

import grpc
import pytest
import structlog

from server.process.connections import ConnectionLimits
from storage.database import Database
from tests.attacks.further import FURTHER
from tests.attacks.measure import Cost, Probe, reset_peak, resident, settled
from tests.attacks.table import ATTACKS, BYTES, Attack
from tests.fixtures.applications import application_of
from tests.fixtures.processes import serving
from tests.fixtures.servers import sign_in

MAX_MEGABYTES = {"stranger": 50.0, "customer": 100.0}
MAX_DELAY_CPU_SECONDS = 0.25
FROZEN_SECONDS = 10.0
"""By the clock, which other work on the machine delays too: only a server that waits for something is so late."""
_TRIES = 8
"""A probe that runs late after its answer arrives counts the CPU of other calls: the least of so many runs counts."""


@pytest.fixture
async def token(database: Database) -> str:
    """A customer's token."""
    logger = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger("critical"))
    application = application_of(database, logger)
    await application.prepare()
    async with grpc.aio.insecure_channel("127.0.0.1:1") as nowhere:
        found = (await sign_in(application, nowhere, ["customer"])).token
    assert found is not None
    return found


UNBOUNDED_BODIES = ("grpc.compression_enabled_algorithms_bitset", 1) not in ConnectionLimits().options()


def _rows() -> list[Any]:
    return [pytest.param(attack, id=attack.name, marks=_marks(attack)) for attack in (*ATTACKS, *FURTHER)]


def _marks(attack: Attack) -> list[Any]:
    taken = pytest.mark.skipif(UNBOUNDED_BODIES, reason="this server bounds no method's body")
    exceeds = pytest.mark.xfail(reason=attack.exceeds, strict=False)
    return [*([taken] if attack.bodies else []), *([exceeds] if attack.exceeds else [])]


@pytest.mark.parametrize("attack", _rows())
async def test_an_attack_stays_within_the_budget(database_url: str, token: str, attack: Attack) -> None:
    """Neither its memory nor the delay of Health/Check exceeds the budget, on a server with default settings."""
    costs: list[Cost] = []
    for _ in range(_TRIES):
        # It has the default rate limit, unlike the other tests' servers.
        async with serving(database_url, BACKROOM_CALLS_PER_SECOND="") as server:
            costs.append(await asyncio.to_thread(_cost, attack, server.process.pid, server.grpc_port, token))
        if _in_time(costs[-1]):
            break
    assert max(cost.megabytes for cost in costs) <= MAX_MEGABYTES[attack.who], costs
    assert _in_time(costs[-1]), costs


def _in_time(cost: Cost) -> bool:
    return cost.cpu_seconds <= MAX_DELAY_CPU_SECONDS and cost.wait_seconds <= FROZEN_SECONDS


def _cost(attack: Attack, pid: int, port: int, token: str) -> Cost:
    probe = Probe(f"127.0.0.1:{port}", pid)
    before = settled(pid)
    reset_peak(pid)
    sent = attack.run(port, token)
    waits = probe.stop()
    assert sent <= BYTES * 1.01, f"{sent:,} bytes are more than the budget speaks of"
    longest, busiest = (max(each) for each in zip(*waits, strict=True))
    return Cost(resident(pid, "VmHWM") - before, longest, busiest, len(waits))
