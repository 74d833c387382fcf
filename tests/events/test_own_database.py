"""Events in a database of their own: what stands there, and what goes on without it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc
import httpx
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from backroom.events.v1 import event_service_pb2 as pb
from backroom.events.v1 import event_type_service_pb2 as types_pb
from backroom.events.v1 import event_types_pb2, events_pb2
from server.events.settings import EventsSettings
from storage.database import Database
from storage.events.store import EVENTS
from storage.schema import LAWS
from storage.store import FRAME
from storage.url import parameters, sibling
from tests.commerce.goods import placed, stocked
from tests.events.sending import EVENTS as EVENTS_PATH
from tests.events.sending import stored
from tests.fixtures.http import plain_client
from tests.fixtures.keys import MASTER_KEY, MASTER_KEYS
from tests.fixtures.postgres import migrated
from tests.fixtures.servers import Api, Running, quick_passwords, refusal, running
from tests.fixtures.trading import eventually
from tests.process.commands import backroom_here

EVENT_SERVICE, ORDER_SERVICE = "backroom.events.v1.EventService", "backroom.commerce.v1.OrderService"


@dataclass(frozen=True)
class Two:
    """A server on two databases, and where they are."""

    server: Running
    postgres: str
    main_url: str
    own_url: str

    async def count(self, url: str, table: str) -> int:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            found = await (await connection.execute(f"SELECT count(*) FROM {table}")).fetchone()
        assert found is not None
        return int(found[0])

    async def health(self, service: str) -> str:
        stub: Any = health_pb2_grpc.HealthStub(self.server.channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

    @asynccontextmanager
    async def own_away(self) -> AsyncIterator[None]:
        """The own database lets nobody in while the block lasts."""
        name = parameters(self.own_url)["dbname"]
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            yield
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@pytest.fixture
async def two(postgres: str, database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Two]:
    with migrated(postgres, request) as own_url:
        own = Database(own_url, audit_key=MASTER_KEYS.audit_key, pool_size=5)
        main = Database(database_url, audit_key=MASTER_KEYS.audit_key, pool_size=5, apart={EVENTS.apart: own})
        given: dict[str, Any] = {"events_database_url": own_url, "events_from_modules": ("commerce",)}
        async with running(main, passwords=quick_passwords(), **given) as server:
            yield Two(server, postgres, database_url, own_url)
        await main.close()


async def sent(api: Api, *ids: str) -> list[int]:
    events = [events_pb2.Event(id=each, source="/shop", type="order.paid", subject="anna") for each in ids]
    return [each.outcome for each in (await api.events.IngestEvents(pb.IngestEventsRequest(events=events))).verdicts]


async def by_http_of(two: Two, api: Api) -> httpx.Response:
    """What is answered to one event that is sent by HTTP."""
    event = {"specversion": "1.0", "id": "http", "source": "/shop", "type": "order.paid"}
    headers = {"authorization": f"Bearer {api.token}", "content-type": "application/cloudevents+json"}
    async with plain_client(two.server.http, timeout=30) as client:
        return await client.post(EVENTS_PATH, content=json.dumps(event), headers=headers)


async def collected(server: Running) -> None:
    (task,) = (each for each in server.application.tasks if each.name == "events.collect")
    await task.run()


async def test_events_stand_there_and_what_is_declared_stands_here(two: Two) -> None:
    """The main database has none of them, and the other one nothing but them."""
    admin = await two.server.sign_in("admin")
    declared = event_types_pb2.EventType(type="order.paid")
    request = types_pb.CreateEventTypeRequest(request_id=str(uuid4()), event_type=declared)
    await admin.event_types.CreateEventType(request)
    stored_outcome = events_pb2.OUTCOME_STORED
    assert await sent(admin, "1", "2") == [stored_outcome, stored_outcome]
    assert await sent(admin, "1") == [events_pb2.OUTCOME_DUPLICATE]
    assert set(await stored(admin)) == {"1", "2"}
    counts = {
        table: (await two.count(two.main_url, table), await two.count(two.own_url, table))
        for table in ("events.events", "events.keys", "events.event_types", "frame.audit_entries", "frame.request_ids")
    }
    assert counts["events.events"] == counts["events.keys"] == (0, 2)
    assert counts["events.event_types"] == (1, 0)
    assert counts["frame.request_ids"] == (1, 0)
    assert counts["frame.audit_entries"][1] == 0


async def test_its_laws_are_checked_where_it_stands(two: Two) -> None:
    """And those of all others in the main database."""
    service = await two.server.sign_in("service")
    await sent(service, "1", "2")
    found = await two.server.database.check(LAWS)
    assert [each.id for each in found] == [law.id for law in LAWS]
    of_events = [law for law in LAWS if "events." in law.counted and "frame." not in law.counted]
    assert of_events
    assert {law.apart for law in of_events} == {EVENTS.apart}
    assert [each.checked for each in found if each.law == of_events[0].text] == [2]
    async with await psycopg.AsyncConnection.connect(two.own_url) as own:
        await own.execute("DELETE FROM events.keys")
    broken = [each.law for each in await two.server.database.check(LAWS) if each.violations]
    assert broken == [law.text for law in of_events if law.id == "I35"]


async def test_what_modules_tell_comes_over_once(two: Two) -> None:
    """The position stands with the events: what fails between the two is taken again, and nothing twice."""
    service, admin = await two.server.sign_in("service"), await two.server.sign_in("admin")
    await stocked(service, "A", 3)
    await placed(service, ("A", 1))
    await collected(two.server)
    await collected(two.server)
    async with two.own_away():
        await placed(service, ("A", 1))
        with pytest.raises(Exception):  # noqa: B017, PT011 - whichever it is, the job is done again
            await collected(two.server)
    await eventually(lambda: two.health(EVENT_SERVICE), lambda status: status == "SERVING")
    await asyncio.gather(*(collected(two.server) for _ in range(3)))
    assert len(await stored(admin, types=["order.placed"])) == 2


async def test_orders_go_on_while_it_is_away(two: Two) -> None:
    """Only the services of events are not served; they are again once it answers, and the log says both."""
    service = await two.server.sign_in("service")
    await stocked(service, "A", 1)
    await eventually(lambda: two.health(EVENT_SERVICE), lambda status: status == "SERVING")
    async with two.own_away():
        await eventually(lambda: two.health(EVENT_SERVICE), lambda status: status == "NOT_SERVING")
        assert [await two.health(each) for each in ("readiness", "", ORDER_SERVICE)] == ["SERVING"] * 3
        refused = await refusal(sent(service, "1"))
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
        assert (await placed(service, ("A", 1))).order_id
        by_http = await by_http_of(two, service)
        assert (by_http.status_code, by_http.json()["reason"]) == (503, "DATABASE_UNAVAILABLE")
        assert int(by_http.headers["retry-after"]) >= 1
    await eventually(lambda: two.health(EVENT_SERVICE), lambda status: status == "SERVING")
    assert await sent(service, "1") == [events_pb2.OUTCOME_STORED]
    lines = [each for each in two.server.log if each["event"].startswith("database_apart")]
    assert [each["event"] for each in lines] == ["database_apart_away", "database_apart_back"]
    assert lines[0]["why"].startswith("BACKROOM_EVENTS_DATABASE_URL: ")


async def test_it_belongs_to_the_same_environment(two: Two) -> None:
    """It is claimed with the first look at it, so that no other environment takes it for its own."""

    async def owner() -> str | None:
        own = two.server.database.apart[EVENTS.apart]
        async with own.store(FRAME).reading() as reading:
            return await reading.environment.find()

    async with two.server.database.store(FRAME).reading() as reading:
        kept = await reading.environment.find()
    assert await eventually(owner, bool) == kept


def test_the_setting_and_the_store_name_the_same() -> None:
    """The setting does not import the store."""
    settings = EventsSettings(BACKROOM_EVENTS_DATABASE_URL="postgresql://h/events")
    assert set(settings.databases_apart()) == {EVENTS.apart}
    assert not EventsSettings().databases_apart()


async def test_commands_bring_it_up_to_date_and_examine_it(
    postgres: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Migrate, doctor and verify; one that is behind is named with its setting."""
    name = f"own_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            own_url = sibling(postgres, name)
            given = {
                "DATABASE_URL": database_url,
                "BACKROOM_MASTER_KEY": MASTER_KEY,
                "BACKROOM_EVENTS_DATABASE_URL": own_url,
            }
            behind = await asyncio.to_thread(backroom_here, capsys, "verify", **given)
            assert (behind.code, behind.out) == (1, "")
            assert "BACKROOM_EVENTS_DATABASE_URL: the database is not migrated yet" in behind.err
            doctor = await asyncio.to_thread(backroom_here, capsys, "doctor", "--json", **given)
            assert "at migration none" in doctor.out
            done = await asyncio.to_thread(backroom_here, capsys, "migrate", **given)
            assert (done.code, done.err) == (0, "")
            assert "BACKROOM_EVENTS_DATABASE_URL: the database is at migration" in done.out
            whole = await asyncio.to_thread(backroom_here, capsys, "verify", **given)
            assert (whole.code, whole.err) == (0, "")
            async with await psycopg.AsyncConnection.connect(own_url) as own:
                assert await (await own.execute("SELECT count(*) FROM events.events")).fetchone() == (0,)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
