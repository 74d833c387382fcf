import asyncio
from collections.abc import Callable, Mapping

import uvloop

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.servers", "tests.fixtures.processes"]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The tests run on the loop that the server runs on."""
    return {"uvloop": uvloop.new_event_loop}
