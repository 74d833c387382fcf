"""flagd's own ports: the same calls are answered there, by one server and by several on the same ports."""

import json
import signal
import socket
from dataclasses import replace
from typing import Any

import grpc
import pytest

from server.process.failure import Failure
from server.process.ports import reserved_ports
from server.process.server import BindError, Server
from server.process.start import reasons_not_to_start
from server.settings import Address, settings_of
from storage.database import Database
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.processes import serving
from tests.flags.keeping import add, change
from tests.flags.values import flag
from tests.flags.wire import Flagd

_SETTINGS: dict[str, Any] = {
    "BACKROOM_FLAGS_OPEN_TO": "127.0.0.0/8",
    "BACKROOM_FLAGD_ADDRESS": "127.0.0.1:0",
    "BACKROOM_FLAGD_SYNC_ADDRESS": "127.0.0.1:0",
}


_FREE = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:0", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:0"}


@pytest.mark.slow
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
    """As the main one is: no server answers at some of its ports alone."""
    free = Address("127.0.0.1:0")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = Address(f"127.0.0.1:{other.getsockname()[1]}")
        further = {"BACKROOM_FLAGD_ADDRESS": taken}
        with pytest.raises(BindError, match=f"BACKROOM_FLAGD_ADDRESS: {taken} cannot be listened on; is it taken?"):
            Server(application_of(database, QUIET), free, free, QUIET, further_grpc_addresses=further)


def test_several_processes_hold_the_further_ports_while_they_serve() -> None:
    """The supervisor names the setting of a port that is taken, and no other process gets a port that it holds."""
    with reserved_ports(settings_of(_SETTINGS | _FREE)) as ports:
        held = ports.further_grpc["BACKROOM_FLAGD_ADDRESS"]
        assert held.port != ports.further_grpc["BACKROOM_FLAGD_SYNC_ADDRESS"].port
        again = settings_of(_FREE | {"BACKROOM_FLAGD_ADDRESS": str(held)})
        with (
            pytest.raises(Failure, match=f"BACKROOM_FLAGD_ADDRESS: {held} cannot be listened on"),
            reserved_ports(again),
        ):
            pass


def test_a_further_port_in_plain_text_is_refused_in_production_as_the_main_one_is() -> None:
    """Tokens would travel there as well."""
    public = settings_of({"BACKROOM_FLAGD_ADDRESS": "0.0.0.0:8013", "BACKROOM_ENVIRONMENT": "production"})
    found = [line for line in reasons_not_to_start(public) if "BACKROOM_FLAGD_ADDRESS" in line]
    fix = "set BACKROOM_TLS_CERTIFICATE and BACKROOM_TLS_KEY, or list grpc in BACKROOM_ALLOW_PLAINTEXT"
    assert found == [f"BACKROOM_FLAGD_ADDRESS: 0.0.0.0:8013 is public and in plain text; {fix}"]


@pytest.mark.slow
async def test_a_change_made_while_no_server_ran_is_there_from_the_first_answer(
    database: Database, database_url: str
) -> None:
    """A server that is ready has read all flags; its clients reconnect and receive later changes."""
    one = flag("a", default="off")
    await add(database, one)
    async with serving(database_url, **_SETTINGS) as server, grpc.aio.insecure_channel(server.address) as channel:
        assert (await Flagd(channel).boolean("a")).value is False
    await change(database, replace(one, default_variant="on", version=2))
    async with serving(database_url, **_SETTINGS) as server, grpc.aio.insecure_channel(server.address) as channel:
        assert (await Flagd(channel).boolean("a")).value is True
