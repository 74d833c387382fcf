import asyncio
import gc
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, settings

# Before gRPC is loaded: as `server.cli.app` has it for a command.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# No test is timed: on a busy machine any example may take long.
settings.register_profile("backroom", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("backroom")

pytest_plugins = [
    "tests.fixtures.pgbouncer",
    "tests.fixtures.postgres",
    "tests.fixtures.servers",
    "tests.fixtures.processes",
    "tests.fixtures.sandbox",
    "tests.fixtures.trading",
]


_SLOW = ("races", "faults", "attacks", "failover", "bench")
"""The folders in which every test is slow."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before the tests are chosen by their marks."""
    tests = Path(__file__).parent
    for item in items:
        if item.path.relative_to(tests).parts[0] in _SLOW:
            item.add_marker(pytest.mark.slow)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The tests run on the loop that the server runs on."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_finish() -> None:
    """What was imported and collected stays: the garbage collector need not go through it again and again."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
