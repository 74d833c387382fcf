"""flagd's own ports: each answers its own services alone, by one server and by several on the same ports."""

import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest

from server.frame.interceptors import CallLimits, ConcurrencyLimits
from server.process.edge import Edge
from server.process.failure import Failure
from server.process.grpc_server import BindError
from server.process.ports import reserved_ports
from server.process.server import Server
from server.process.start import reasons_not_to_start
from server.settings import Address, settings_of
from storage.database import Database
from tests.contract.probes import checked, listed
from tests.contract.stand_ins import get_me
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.processes import serving
from tests.fixtures.servers import Api, Running, refusal
from tests.flags.keeping import add, change
from tests.flags.values import flag
from tests.flags.wire import Flagd, serving_flags

_SETTINGS: dict[str, Any] = {
    "BACKROOM_FLAGS_OPEN_TO": "127.0.0.0/8",
    "BACKROOM_FLAGD_ADDRESS": "127.0.0.1:0",
    "BACKROOM_FLAGD_SYNC_ADDRESS": "127.0.0.1:0",
}


_BOTH = ("BACKROOM_FLAGD_ADDRESS", "BACKROOM_FLAGD_SYNC_ADDRESS")
_FREE = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:0", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:0"}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one", "several"])
async def test_flags_are_evaluated_and_synced_at_ports_of_their_own(
    database: Database, database_url: str, workers: tuple[str, ...]
) -> None:
    """Each of them has its own services, the main one has all; a stop ends all."""
    await add(database, flag("a", default="on"))
    async with serving(database_url, *workers, **_SETTINGS) as server:
        ports = server.further_grpc_ports
        assert set(ports) == set(_BOTH)
        assert len({*ports.values(), server.grpc_port}) == 3
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}") as main,
            grpc.aio.insecure_channel(f"127.0.0.1:{ports['BACKROOM_FLAGD_ADDRESS']}") as evaluating,
            grpc.aio.insecure_channel(f"127.0.0.1:{ports['BACKROOM_FLAGD_SYNC_ADDRESS']}") as syncing,
        ):
            for channel in (main, evaluating):
                assert (await Flagd(channel).boolean("a")).value is True
            for channel in (main, syncing):
                assert set(json.loads((await Flagd(channel).fetch()).flag_configuration)["flags"]) == {"a"}
            assert (await refusal(Flagd(syncing).boolean("a"))).reason == "METHOD_UNKNOWN"
            assert (await refusal(Flagd(evaluating).fetch())).reason == "METHOD_UNKNOWN"
            events = Flagd(evaluating).events()
            await events.read()
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await events.read()
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


@asynccontextmanager
async def _own_ports(database: Database, **parts: Any) -> AsyncIterator[tuple[Running, grpc.aio.Channel]]:
    """A server with ports of flagd's, and a channel to that for evaluating."""
    free = {name: Address("127.0.0.1:0") for name in _BOTH}
    async with serving_flags(database, further_grpc_addresses=free, **parts) as server:
        port = server.server.further_grpc_ports["BACKROOM_FLAGD_ADDRESS"]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield server, channel


async def test_no_other_method_is_answered_at_flagds_port(database: Database) -> None:
    """Neither before the main port has answered it nor after, and nobody is asked for a token."""
    async with _own_ports(database) as (server, channel):
        customer = await server.sign_in("customer")
        there = Api(channel, customer.token)
        assert (await refusal(get_me(there))).reason == "METHOD_UNKNOWN"
        assert (await get_me(customer)).user.user_id == str(customer.account_id)
        assert (await refusal(get_me(there))).reason == "METHOD_UNKNOWN"
        assert (await refusal(get_me(Api(channel)))).reason == "METHOD_UNKNOWN"
        assert (await refusal(get_me(server.anonymous))).reason == "TOKEN_INVALID"


async def test_health_and_reflection_are_answered_at_flagds_port(database: Database) -> None:
    """For probes, and for tools: they are shown what is answered there."""
    async with _own_ports(database) as (_, channel):
        assert await checked(channel, "flagd.evaluation.v2.Service") == "SERVING"
        assert await checked(channel, "liveness") == "SERVING"
        standard = {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"}
        standard.add("grpc.reflection.v1alpha.ServerReflection")
        assert await listed(channel) == {"flagd.evaluation.v1.Service", "flagd.evaluation.v2.Service"} | standard
    async with _own_ports(database, edge=Edge(reflection=False)) as (_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await listed(channel)
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_limits_count_the_calls_of_all_ports_together(database: Database) -> None:
    """As many streams are taken as one port would take."""
    limits = CallLimits(ConcurrencyLimits(streams=1))
    async with _own_ports(database, limits=limits, flags_open_to=()) as (server, channel):
        token = (await server.sign_in("service")).token
        first = Flagd(channel, token=token).events()
        assert (await first.read()).type == "provider_ready"
        assert (await refusal(Flagd(server.channel, token=token).events().read())).reason == "OVERLOADED"
        first.cancel()


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
