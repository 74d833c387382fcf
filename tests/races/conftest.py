"""Each race has a server of its own, so that the keys and connections left in it affect no other test."""

import pytest

from tests.fixtures.servers import Running


@pytest.fixture
async def server(own_server: Running) -> Running:
    return own_server
