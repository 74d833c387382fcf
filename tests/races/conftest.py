"""Each race has a server of its own: what a crowd leaves in one, such as keys and connections, is in no other's way."""

import pytest

from tests.fixtures.servers import Running


@pytest.fixture
async def server(own_server: Running) -> Running:
    return own_server
