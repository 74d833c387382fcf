"""Two servers never share a port by accident."""

import asyncio

import pytest

from tests.fixtures.keys import MASTER_KEY
from tests.fixtures.servers import Running
from tests.process.commands import backroom


@pytest.mark.slow
async def test_a_second_server_on_a_used_port_names_the_setting(server: Running, database_url: str) -> None:
    """One line, and exit code 1, for either port."""
    free = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:0", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:0"}
    taken = {"BACKROOM_GRPC_ADDRESS": server.server.grpc_port, "BACKROOM_HTTP_ADDRESS": server.server.http_port}
    ended = await asyncio.gather(
        *(
            backroom(
                "serve",
                DATABASE_URL=database_url,
                BACKROOM_MASTER_KEY=MASTER_KEY,
                **{**free, setting: f"127.0.0.1:{port}"},
            )
            for setting, port in taken.items()
        )
    )
    for (setting, port), finished in zip(taken.items(), ended, strict=True):
        assert finished.code == 1
        (line,) = finished.err.splitlines()
        assert line.startswith(f"backroom: {setting}: 127.0.0.1:{port}")
        assert finished.out == ""
