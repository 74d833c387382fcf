"""While the database is away, flags are evaluated as they were; changes are refused."""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from uuid import uuid4

import grpc
import httpx

from backroom.flags.v1 import flag_service_pb2 as pb
from flagd.sync.v1 import sync_service_pb2 as sync
from storage.database import Database
from tests.contract.probes import becomes, checked
from tests.faults.cluster import Cluster
from tests.faults.load import until
from tests.fixtures.servers import Running, quick_passwords, refusal, running
from tests.flags.calling import drafted
from tests.flags.keeping import add, change
from tests.flags.ofrep import ALL
from tests.flags.values import flag
from tests.flags.wire import THIS_MACHINE, Flagd, known, serving_flags, told

SOON = 60.0
"""In seconds: how soon it must follow, on a busy machine; on an idle one it takes less than 5."""
EVALUATION = "flagd.evaluation.v2.Service"
RULE = {"if": [{"==": [{"var": "team"}, "staff"]}, "on"]}


async def test_evaluation_goes_on_and_its_services_stay_ready(database: Database, cluster: Cluster) -> None:
    """Clients are answered and streams stay open; once the database is back, its changes are followed again."""
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
        await becomes(server.channel, "readiness", "SERVING", within=SOON)
        await change(database, replace(one, targeting={}, default_variant="on", version=2))
        assert told(await events.read()) == ("configuration_change", {"a": "update"})
        assert (await flagd.boolean("a")).value is True
        events.cancel()


async def test_ofrep_goes_on_and_changes_are_refused(database: Database, cluster: Cluster) -> None:
    """Evaluation and entity tags as before; each change is UNAVAILABLE, and can be made once the database is back."""
    await add(database, flag("a", targeting=RULE))
    async with (
        serving_flags(database, ofrep_calls_per_second=0.0) as server,
        httpx.AsyncClient(base_url=server.http, timeout=30) as client,
    ):
        keeper = await server.sign_in("manager")
        await known(server.channel, "a")
        etag = (await client.post(ALL, json={})).headers["etag"]
        making = pb.CreateFlagRequest(request_id=str(uuid4()), flag=drafted("new"))
        async with cluster.stopped():
            await becomes(server.channel, "readiness", "NOT_SERVING", within=SOON)
            answer = await client.post(f"{ALL}/a", json={"context": {"team": "staff"}})
            assert (answer.status_code, answer.json()["value"]) == (200, True)
            bulk = await client.post(ALL, json={})
            assert (bulk.status_code, bulk.json()["flags"][0]["value"]) == (200, False)
            if bulk.headers["etag"] == etag:  # unless five minutes have ended, and with them a stream's URL
                again = await client.post(ALL, json={}, headers={"if-none-match": etag})
                assert (again.status_code, again.content) == (304, b"")
            changes = [
                keeper.flags.CreateFlag(making),
                keeper.flags.SwitchOff(pb.SwitchOffRequest(key="a")),
                keeper.flags.ArchiveFlag(pb.ArchiveFlagRequest(key="a")),
            ]
            for each in changes:
                found = await refusal(each)
                assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
            assert await checked(server.channel, "backroom.flags.v1.FlagService") == "NOT_SERVING"
        await becomes(server.channel, "readiness", "SERVING", within=SOON)
        assert (await keeper.flags.CreateFlag(making)).flag.key == "new"
        await known(server.channel, "a", "new")


async def test_a_token_that_was_known_lets_its_caller_go_on(database: Database, cluster: Cluster) -> None:
    """Its rights cannot be read; the last known ones count for evaluation, and for nothing else."""
    await add(database, flag("a", default="on"))
    async with serving_flags(database, flags_open_to=()) as server:
        service, newcomer = await server.sign_in("service"), await server.sign_in("service")
        flagd = Flagd(server.channel, token=service.token)
        # On a busy machine the roles just given would else be noticed after the call, and it be forgotten.
        await server.application.identity.access_cache.poll()
        await known(server.channel, "a", token=service.token)
        stream = flagd.sync.SyncFlags(sync.SyncFlagsRequest())
        await stream.read()
        async with cluster.stopped():
            await becomes(server.channel, "readiness", "NOT_SERVING", within=SOON)
            assert (await flagd.boolean("a")).value is True
            found = await refusal(Flagd(server.channel, token=newcomer.token).boolean("a"))
            assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
            assert not stream.done()
        await becomes(server.channel, "readiness", "SERVING", within=SOON)
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
        await becomes(server.channel, EVALUATION, "SERVING", within=SOON)
        assert (await flagd.boolean("a")).value is True


async def test_the_log_says_once_that_changes_are_not_followed(database: Database, cluster: Cluster) -> None:
    """And that the server is not ready; flags need no other action."""
    async with serving_flags(database) as server:
        async with cluster.stopped():
            await becomes(server.channel, "readiness", "NOT_SERVING", within=SOON)
            await until(lambda: bool(lines(server, "not_ready")), within=SOON)
        await becomes(server.channel, "readiness", "SERVING", within=SOON)
        await until(lambda: bool(lines(server, "ready")), within=SOON)
        for event in ("flag_changes_not_followed", "flag_changes_not_heard"):
            assert len(lines(server, event)) <= 1, server.log


def lines(server: Running, event: str) -> list[dict[str, Any]]:
    return [line for line in server.log if line["event"] == event]
