import asyncio
import gc
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from tests.fixtures.examples import load_profiles

# Must be set before gRPC is imported, as `server.cli.app` does for commands.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

load_profiles()

pytest_plugins = [
    "tests.fixtures.clamd",
    "tests.fixtures.forking",
    "tests.fixtures.long_first",
    "tests.fixtures.pgbouncer",
    "tests.fixtures.postgres",
    "tests.fixtures.servers",
    "tests.fixtures.processes",
    "tests.fixtures.s3",
    "tests.fixtures.sandbox",
    "tests.fixtures.trading",
]


_SLOW = ("races", "faults", "attacks", "failover", "bench")
"""The folders in which every test is slow."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs before tests are selected by their marks."""
    tests = Path(__file__).parent
    for item in items:
        if item.path.relative_to(tests).parts[0] in _SLOW:
            item.add_marker(pytest.mark.slow)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Runs the tests on the same event loop as the server."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_sessionfinish() -> None:
    """Removes the files that the servers of this process stored."""
    applications = sys.modules.get("tests.fixtures.applications")
    if applications is not None:
        shutil.rmtree(applications.FILES_FOLDER, ignore_errors=True)


def pytest_collection_finish() -> None:
    """Freezes what was imported and collected, so that the garbage collector does not scan it repeatedly."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
