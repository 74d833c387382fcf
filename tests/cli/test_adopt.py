"""Environments are kept apart, and a copied database does none of the original's work until it is adopted."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from backroom.identity.v1 import access_service_pb2, accounts_pb2
from server.frame.sealing import new_master_key
from storage.connector import Connector
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.frame.records import AuditFilter, Job
from storage.problems import ProblemKind
from storage.store import FRAME
from storage.webhooks.records import DeliveryState, EndpointState
from storage.webhooks.store import WEBHOOKS
from tests.fixtures.keys import MASTER_KEY
from tests.fixtures.pgbouncer import POOLER
from tests.fixtures.processes import serving
from tests.fixtures.servers import Api, Running, running
from tests.fixtures.trading import eventually
from tests.identity.people import logged_in, me, outcome, refreshing, registered
from tests.invariants import broken
from tests.process.commands import backroom, backroom_here
from tests.webhooks.outgoing import LOOPBACK, Outbox, Subscriber, outbox_on, subscriber

PRODUCTION, STAGING = "https://backroom.example.com", "https://backroom.staging.example.com"
OTHERS = f"the database belongs to {PRODUCTION}, and BACKROOM_ISSUER is {STAGING}"
REASON = "the database became another environment's"
FIX = "correct DATABASE_URL or BACKROOM_ISSUER; to make a copy an environment of its own: backroom adopt"


def settings(url: str, issuer: str = STAGING, **rest: str) -> dict[str, Any]:
    ports = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:0", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:0"}
    return {"DATABASE_URL": url, "BACKROOM_MASTER_KEY": MASTER_KEY, "BACKROOM_ISSUER": issuer, **ports, **rest}


async def claimed(database: Database, issuer: str) -> None:
    async with database.store(FRAME).transaction() as tx:
        assert await tx.environment.claim(issuer) == issuer


async def belongs_to(database: Database) -> str | None:
    async with database.store(FRAME).reading() as tx:
        return await tx.environment.find()


@pytest.mark.slow
async def test_the_first_server_claims_the_database(database: Database, database_url: str) -> None:
    """By default for the local machine; a second server of the same environment starts too."""
    assert await belongs_to(database) is None
    async with serving(database_url, **settings(database_url, PRODUCTION)):
        assert await belongs_to(database) == PRODUCTION
    async with running(database, issuer=PRODUCTION) as server:
        await server.application.health.ready()
    assert await belongs_to(database) == PRODUCTION


@pytest.mark.parametrize(
    "command", [("serve",), ("serve", "--workers", "2"), ("worker",), ("admin", "create-service-account", "x")]
)
@pytest.mark.slow
async def test_another_environment_is_refused_in_one_line(
    database: Database, database_url: str, command: tuple[str, ...]
) -> None:
    """Exit code 1, with both values and what to do; nothing was changed."""
    await claimed(database, PRODUCTION)
    finished = await backroom(*command, **settings(database_url))
    lines = [line for line in finished.err.splitlines() if line.startswith("backroom: ")]
    assert finished.code == 1
    assert lines == [f"backroom: DATABASE_URL: {OTHERS}; {FIX}"]
    assert await belongs_to(database) == PRODUCTION


async def test_no_connection_of_a_server_reaches_another_environments_database(
    database: Database, database_url: str
) -> None:
    """Not even one that is opened later, after the database was replaced by a copy while a server ran."""
    opening = Database(database_url, issuer=STAGING, pooler=POOLER)
    try:
        connector = Connector(database_url, application_name="test", pooler=POOLER, issuer=STAGING)
        await (await connector.open()).close()
        await claimed(database, PRODUCTION)
        with pytest.raises(StoreUnavailable) as refused:
            await opening.revision()
    finally:
        await opening.close()
    assert (refused.value.problem.kind, str(refused.value)) == (ProblemKind.ENVIRONMENT, OTHERS)
    assert not refused.value.problem.is_transient


async def test_a_running_server_runs_no_job_of_another_environments_database(
    database: Database, database_url: str
) -> None:
    """It is not ready, says why, and leaves the queue alone."""
    async with subscriber() as shop, outbox_on(database) as outbox:
        await claimed(database, PRODUCTION)
        own = Database(database_url, issuer=STAGING, pooler=POOLER)
        parts: dict[str, Any] = {"jobs_on": database_url, "issuer": STAGING, "allowed_networks": LOOPBACK}
        async with running(own, **parts) as server:
            await outbox.test_event(await outbox.endpoint(shop.url))
            async with database.store(FRAME).transaction() as tx:
                await tx.jobs.defer([Job("webhooks.relay")])
            await eventually(lambda: asyncio.sleep(0, said(server, "worker_database_unavailable")), bool)
            assert any(OTHERS in str(line.get("why")) for line in said(server, "not_ready"))
            assert await waiting(database) > 0
        await own.close()
        assert shop.heard == []


async def waiting(database: Database) -> int:
    """How many jobs are queued."""
    async with database.store(FRAME).reading() as tx:
        return len(await tx.jobs.list_undone(1000))


def said(server: Running, event: str) -> list[Mapping[str, object]]:
    return [line for line in server.log if line["event"] == event]


async def test_commands_that_only_read_accept_a_copy(
    database: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A backup can be inspected without adopting it; `verify` says which environment it belongs to."""
    await claimed(database, PRODUCTION)
    verified = await asyncio.to_thread(backroom_here, capsys, "verify", **settings(database_url))
    assert (verified.code, [line[:3] for line in verified.out.splitlines() if " is broken by " in line]) == (1, ["I13"])
    for command in (("jobs",), ("audit", "list"), ("audit", "verify")):
        finished = await asyncio.to_thread(backroom_here, capsys, *command, **settings(database_url))
        assert (finished.code, finished.err) == (0, ""), command


@dataclass
class Copied:
    """What production stored in a database, and the tokens that it issued."""

    outbox: Outbox
    shop: Subscriber
    token: str
    refresh_token: str
    api_key: str


async def left_behind(server: Running, outbox: Outbox, shop: Subscriber) -> Copied:
    """A signed-in user, a service with a key, a mail, a job, a failed one, a delivery, and an event that waits."""
    await registered(server.anonymous)
    tokens = await logged_in(server.anonymous)
    admin = await server.sign_in("admin")
    made = await admin.access.CreateServiceAccount(
        access_service_pb2.CreateServiceAccountRequest(
            service_account=accounts_pb2.ServiceAccount(name="till", roles=["service"])
        )
    )
    endpoint = await outbox.endpoint(shop.url)
    await outbox.relayed()
    await outbox.happens("order.paid")
    await outbox.test_event(endpoint)
    async with server.database.store(FRAME).transaction() as tx:
        await tx.jobs.defer([Job("webhooks.relay")])
    return Copied(outbox, shop, tokens.access_token, tokens.refresh_token, made.secret)


async def adopted(url: str, capsys: pytest.CaptureFixture[str], *options: str, **rest: str) -> tuple[int | None, str]:
    finished = await asyncio.to_thread(backroom_here, capsys, "adopt", *options, **{**settings(url), **rest})
    return finished.code, finished.out + finished.err


async def test_an_adopted_copy_does_nothing_of_the_other_environment(
    database: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No token, session or key from there is accepted, and nothing from there is sent; it serves its own users."""
    async with subscriber() as shop, outbox_on(database) as outbox:
        async with running(database, issuer=PRODUCTION) as server:
            copied = await left_behind(server, outbox, shop)
        code, text = await adopted(database_url, capsys, "--yes")
        assert code == 0, text
        assert text.startswith(f"the database belonged to {PRODUCTION}, and belongs to {STAGING} now\nended: ")
        for part in ("2 sessions", "1 API keys", "2 keys that sign or derive", "1 deliveries", "1 endpoints"):
            assert part in text
        parts: dict[str, Any] = {"jobs_on": database_url, "issuer": STAGING, "allowed_networks": LOOPBACK}
        async with running(database, **parts) as server:
            await server.application.health.ready()
            await nothing_goes_on(server, copied)
            customer = await server.sign_in("customer")
            assert await outcome(me(customer)) == "done"
        assert await broken(database) == {}


async def nothing_goes_on(server: Running, copied: Copied) -> None:
    api, anonymous = Api(server.channel, copied.token), server.anonymous
    assert await outcome(me(api)) == "TOKEN_INVALID"
    assert await outcome(anonymous.identity.Refresh(refreshing(copied.refresh_token))) == "CREDENTIALS_INVALID"
    exchange = access_service_pb2.ExchangeKeyRequest(key=copied.api_key)
    assert await outcome(anonymous.access.ExchangeKey(exchange)) == "CREDENTIALS_INVALID"
    async with server.database.store(WEBHOOKS).reading() as tx:
        (endpoint,) = await tx.endpoints.list_latest(before=None, limit=10)
        assert (endpoint.state, endpoint.disabled_reason) == (EndpointState.DISABLED, REASON)
    (delivery,) = await copied.outbox.sent(endpoint)
    assert (delivery.state, delivery.error) == (DeliveryState.FAILED, REASON)
    assert await copied.outbox.due() == []
    await copied.outbox.relayed()
    assert len(await copied.outbox.sent(endpoint)) == 1
    assert copied.shop.heard == []


async def test_an_adoption_is_recorded(
    database: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As what the command did, after what was recorded before."""
    await claimed(database, PRODUCTION)
    assert (await adopted(database_url, capsys, "--yes"))[0] == 0
    async with database.store(FRAME).reading() as tx:
        events = await tx.audit.list_latest(AuditFilter(resource=f"environment/{STAGING}"), before=None, limit=10)
    assert [(event.entry.action, event.entry.result) for event in events] == [("backroom adopt", "OK")]


async def test_an_adoption_must_be_confirmed(
    database: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal it needs --yes, and otherwise changes nothing."""
    await claimed(database, PRODUCTION)
    code, text = await adopted(database_url, capsys)
    assert code == 1
    assert text.startswith(f"backroom: the database of {PRODUCTION} becomes that of {STAGING}, and ")
    assert text.endswith(": say --yes\n")
    assert await belongs_to(database) == PRODUCTION


async def test_adopting_ones_own_database_changes_nothing(
    database: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sessions continue."""
    async with running(database, issuer=STAGING) as server:
        await server.application.prepare()
        customer = await server.sign_in("customer")
        code, text = await adopted(database_url, capsys, "--yes")
        assert (code, text) == (0, f"the database belongs to {STAGING} already; nothing was changed\n")
        assert await outcome(me(customer)) == "done"


async def test_a_wrong_master_key_adopts_nothing(
    database: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server could not start on it afterwards."""
    async with running(database, issuer=PRODUCTION) as server:
        await server.application.prepare()
    code, text = await adopted(database_url, capsys, "--yes", BACKROOM_MASTER_KEY=new_master_key())
    assert code == 1
    assert text.startswith("backroom: BACKROOM_MASTER_KEY: does not open what is sealed in this database")
    assert await belongs_to(database) == PRODUCTION
