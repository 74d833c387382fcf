"""While the database is away, flags are evaluated as they were: it is asked for nothing."""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import grpc

from flagd.sync.v1 import sync_service_pb2 as sync
from storage.database import Database
from tests.contract.probes import becomes, checked
from tests.faults.cluster import Cluster
from tests.faults.load import until
from tests.fixtures.servers import Running, quick_passwords, refusal, running
from tests.flags.keeping import add, change
from tests.flags.values import flag
from tests.flags.wire import THIS_MACHINE, Flagd, known, serving_flags, told

SOON = 5.0
"""In seconds: how soon readiness must follow the database."""
BACK = 30.0
"""In seconds: how soon it may be back, on a busy machine."""
EVALUATION = "flagd.evaluation.v2.Service"
RULE = {"if": [{"==": [{"var": "team"}, "staff"]}, "on"]}


async def test_evaluation_goes_on_and_its_services_stay_ready(database: Database, cluster: Cluster) -> None:
    """Clients keep being answered, and streams stay open; what came back is followed from where it was."""
    one = flag("a", targeting=RULE)
    await add(database, one)
    async with serving_flags(database) as server:
        flagd = Flagd(server.channel)
        events = flagd.events()
        assert told(await events.read()) == ("provider_ready", {})
        async with cluster.stopped():
            await becomes(server.channel, "readiness", "NOT_SERVING", within=SOON)
            assert (await flagd.boolean("a", team="staff")).value is True
            assert (await flagd.boolean("a", team="other")).value is False
            assert (await flagd.fetch()).flag_configuration
            for service in (EVALUATION, "flagd.evaluation.v1.Service", "flagd.sync.v1.FlagSyncService"):
                assert await checked(server.channel, service) == "SERVING"
            assert await checked(server.channel, "backroom.identity.v1.IdentityService") == "NOT_SERVING"
        await becomes(server.channel, "readiness", "SERVING", within=BACK)
        await change(database, replace(one, targeting={}, default_variant="on", version=2))
        assert told(await events.read()) == ("configuration_change", {"a": "update"})
        assert (await flagd.boolean("a")).value is True
        events.cancel()


async def test_a_token_that_was_known_lets_its_caller_go_on(database: Database, cluster: Cluster) -> None:
    """Nobody can say any more what it may do; what was known last counts for evaluation, and for nothing else."""
    await add(database, flag("a", default="on"))
    async with serving_flags(database, flags_open_to=()) as server:
        service, newcomer = await server.sign_in("service"), await server.sign_in("service")
        flagd = Flagd(server.channel, token=service.token)
        await known(server.channel, "a", token=service.token)
        stream = flagd.sync.SyncFlags(sync.SyncFlagsRequest())
        await stream.read()
        async with cluster.stopped():
            await becomes(server.channel, "readiness", "NOT_SERVING", within=SOON)
            assert (await flagd.boolean("a")).value is True
            found = await refusal(Flagd(server.channel, token=newcomer.token).boolean("a"))
            assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
            assert not stream.done()
        await becomes(server.channel, "readiness", "SERVING", within=BACK)
        await add(database, flag("b"))
        assert '"b"' in (await stream.read()).flag_configuration
        stream.cancel()


async def test_a_server_that_starts_without_the_database_answers_once_it_has_read_the_flags(
    database: Database, cluster: Cluster
) -> None:
    """Until then its services are not ready: an empty snapshot would deny that there are flags."""
    await add(database, flag("a", default="on"))
    async with AsyncExitStack() as opened:
        async with cluster.stopped():
            opening = running(database, passwords=quick_passwords(), flags_open_to=THIS_MACHINE)
            server = await opened.enter_async_context(opening)
            flagd = Flagd(server.channel)
            assert await checked(server.channel, EVALUATION) == "NOT_SERVING"
            assert (await refusal(flagd.boolean("a"))).reason == "DATABASE_UNAVAILABLE"
        await becomes(server.channel, EVALUATION, "SERVING", within=30)
        assert (await flagd.boolean("a")).value is True


async def test_the_log_says_once_that_changes_are_not_followed(database: Database, cluster: Cluster) -> None:
    """And that the server is not ready; nothing else is to be done about flags."""
    async with serving_flags(database) as server:
        async with cluster.stopped():
            await becomes(server.channel, "readiness", "NOT_SERVING", within=SOON)
            await until(lambda: bool(lines(server, "not_ready")), within=SOON)
        await becomes(server.channel, "readiness", "SERVING", within=BACK)
        await until(lambda: bool(lines(server, "ready")), within=BACK)
        for event in ("flag_changes_not_followed", "flag_changes_not_heard"):
            assert len(lines(server, event)) <= 1, server.log


def lines(server: Running, event: str) -> list[dict[str, Any]]:
    return [line for line in server.log if line["event"] == event]
