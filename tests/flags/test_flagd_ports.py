"""flagd's own ports: the same calls are answered there, by one server and by several on the same ports."""

import json
import signal
from dataclasses import replace
from typing import Any

import grpc
import pytest

from server.process.server import BindError
from server.settings import Address
from storage.database import Database
from tests.fixtures.applications import application_of
from tests.fixtures.processes import serving
from tests.flags.values import flag
from tests.flags.wire import Flagd, add, change
from tests.process.servers import QUIET

_SETTINGS: dict[str, Any] = {
    "BACKROOM_FLAGS_OPEN_TO": "127.0.0.0/8",
    "BACKROOM_FLAGD_ADDRESS": "127.0.0.1:0",
    "BACKROOM_FLAGD_SYNC_ADDRESS": "127.0.0.1:0",
}


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one", "several"])
async def test_flags_are_evaluated_and_synced_at_ports_of_their_own(
    database: Database, database_url: str, workers: tuple[str, ...]
) -> None:
    """At each of them and at the main one; a stop ends all."""
    await add(database, flag("a", default="on"))
    async with serving(database_url, *workers, **_SETTINGS) as server:
        ports = server.further_grpc_ports
        assert set(ports) == {"BACKROOM_FLAGD_ADDRESS", "BACKROOM_FLAGD_SYNC_ADDRESS"}
        assert len({*ports.values(), server.grpc_port}) == 3
        for port in (*ports.values(), server.grpc_port):
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                flagd = Flagd(channel)
                assert (await flagd.boolean("a")).value is True
                assert set(json.loads((await flagd.fetch()).flag_configuration)["flags"]) == {"a"}
        async with grpc.aio.insecure_channel(f"127.0.0.1:{ports['BACKROOM_FLAGD_ADDRESS']}") as channel:
            events = Flagd(channel).events()
            await events.read()
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await events.read()
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_port_that_is_taken_is_named_with_its_setting(database: Database) -> None:
    """As the main one is: nothing is answered half."""
    from server.process.server import Server

    free = Address("127.0.0.1:0")
    first = Server(application_of(database, QUIET), free, free, QUIET, further_grpc_addresses={"A": free})
    taken = Address(f"127.0.0.1:{first.further_grpc_ports['A']}")
    with pytest.raises(BindError, match=f"BACKROOM_FLAGD_ADDRESS: {taken} cannot be listened on; is it taken?"):
        Server(
            application_of(database, QUIET), free, free, QUIET, further_grpc_addresses={"BACKROOM_FLAGD_ADDRESS": taken}
        )


async def test_a_change_made_while_no_server_ran_is_there_from_the_first_answer(
    database: Database, database_url: str
) -> None:
    """A server that says that it is ready has read all flags; its clients connect anew and are told the rest."""
    one = flag("a", default="off")
    await add(database, one)
    async with serving(database_url, **_SETTINGS) as server, grpc.aio.insecure_channel(server.address) as channel:
        assert (await Flagd(channel).boolean("a")).value is False
    await change(database, replace(one, default_variant="on", version=2))
    async with serving(database_url, **_SETTINGS) as server, grpc.aio.insecure_channel(server.address) as channel:
        assert (await Flagd(channel).boolean("a")).value is True
