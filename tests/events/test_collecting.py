"""From the log of events to events that are counted: none is left out or doubled, whatever commits late or fails."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from backroom.events.v1 import event_service_pb2, event_type_service_pb2, event_types_pb2, events_pb2
from server.frame.module import now
from storage.database import Database
from storage.events.repository import CollectedRepository
from storage.frame.records import Event
from storage.store import FRAME
from storage.transaction import Transaction
from tests.commerce.goods import placed, stocked
from tests.events.sending import stored
from tests.fixtures.servers import Api, Running, quick_passwords, running
from tests.fixtures.trading import eventually

SHOP = {"events_from_modules": ("commerce",)}


@asynccontextmanager
async def counting(database: Database, **settings: Any) -> AsyncIterator[tuple[Running, Api]]:
    """A server that counts what commerce tells, and who reads it."""
    async with running(database, passwords=quick_passwords(), **{**SHOP, **settings}) as server:
        yield server, await server.sign_in("admin")


async def collect(server: Running) -> None:
    """As the job does."""
    (task,) = (each for each in server.application.tasks if each.name == "events.collect")
    await task.run()


async def publish(tx: Transaction, *types: str, data: str = "{}", time: datetime | None = None) -> None:
    await tx.events.publish([Event(each, uuid4(), data, time or now()) for each in types])


async def happened(database: Database, *types: str, **rest: Any) -> None:
    async with database.store(FRAME).transaction() as tx:
        await publish(tx, *types, **rest)


async def types(api: Api) -> list[str]:
    return sorted(each.type for each in (await stored(api)).values())


async def test_an_order_is_an_event_within_a_second(database: Database, database_url: str) -> None:
    """From the call through the log and the job, with a worker; its subject is the customer."""
    async with counting(database, jobs_on=database_url) as (server, admin):
        service = await server.sign_in("service")
        await stocked(service, "A", 1)
        order = await placed(service, ("A", 1), customer_id="anna")
        (event,) = (await eventually(lambda: stored(admin, types=["order.placed"]), bool)).values()
        assert (event.source, event.type, event.subject) == ("/backroom/commerce", "order.placed", "anna")
        assert dict(event.attributes) == {"resource": order.order_id}
        assert json.loads(event.data)["order_id"] == order.order_id
        assert event.time.ToDatetime(UTC) == order.update_time.ToDatetime(UTC)


async def test_what_the_log_has_already_is_counted_too(database: Database) -> None:
    """Of the modules that are named, and of no others; once, however often the job runs, and at the same time."""
    await happened(database, "order.placed", "order.paid", "task.created", "booking.made")
    async with counting(database) as (server, admin):
        await asyncio.gather(*(collect(server) for _ in range(4)))
        await collect(server)
        assert await types(admin) == ["order.paid", "order.placed"]
    async with counting(database, events_from_modules=()) as (server, admin):
        await happened(database, "order.expired")
        await collect(server)
        assert await types(admin) == ["order.paid", "order.placed"]


async def test_what_commits_late_is_not_left_out(database: Database) -> None:
    """An event with a lower number that commits after a higher one was counted."""
    frame = database.store(FRAME)
    async with counting(database) as (server, admin):
        async with frame.transaction() as late:
            await publish(late, "order.placed")
            await happened(database, "order.paid")
            await collect(server)
            assert await types(admin) == ["order.paid"]
        await collect(server)
        assert await types(admin) == ["order.paid", "order.placed"]


async def test_many_events_are_taken_page_by_page(database: Database) -> None:
    """Each once, also where one transaction has more than a page."""
    async with counting(database) as (server, admin):
        await happened(database, *["order.placed"] * 700)
        for _ in range(3):
            await happened(database, *["order.paid"] * 60)
        await collect(server)
        found = await types(admin)
    assert (found.count("order.placed"), found.count("order.paid")) == (700, 180)


async def test_a_page_that_fails_is_taken_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its events and the position are stored together, or not at all."""
    await happened(database, "order.placed")
    async with counting(database) as (server, admin):
        with monkeypatch.context() as broken:
            broken.setattr(CollectedRepository, "move", fail)
            with pytest.raises(RuntimeError):
                await collect(server)
        assert await types(admin) == []
        await collect(server)
        assert await types(admin) == ["order.placed"]


async def fail(*_: object) -> None:
    raise RuntimeError("the process ends here")


async def test_a_log_that_went_back_is_counted_on(database: Database) -> None:
    """After a restore its transactions and its numbers begin earlier: what is new has an id of its own."""
    async with counting(database) as (server, admin):
        await happened(database, "order.placed")
        await collect(server)
        async with database.store(FRAME).transaction() as tx:
            await CollectedRepository(tx._connection).move("9000000000000:9000000000000:")
        await happened(database, "order.paid")
        await collect(server)
        assert await types(admin) == ["order.paid", "order.placed"]


async def test_what_cannot_be_an_event_is_refused_and_kept(database: Database) -> None:
    """It stops none of the others."""
    old = datetime.now(UTC) - timedelta(days=4_500)
    await happened(database, "order.placed", time=old)
    await happened(database, "order.paid", data=json.dumps({"customer_id": "x" * 500}))
    await happened(database, "order.fulfilled")
    async with counting(database) as (server, admin):
        await collect(server)
        assert await types(admin) == ["order.fulfilled"]
        refused = await refused_types(admin)
    assert refused == {"order.placed": "TOO_OLD", "order.paid": "FIELD_INVALID"}


async def test_what_was_refused_of_a_module_is_stored_once_its_type_is_declared(database: Database) -> None:
    """A retry is the server's own, as the event was: nobody else sends by such a source."""
    await happened(database, "order.paid", "order.placed")
    async with counting(database, events_declared_only=True) as (server, admin):
        await collect(server)
        assert await refused_types(admin) == {"order.paid": "TYPE_UNDECLARED", "order.placed": "TYPE_UNDECLARED"}
        retried = event_type_service_pb2.RetryRefusedEventsRequest
        assert (await admin.event_types.RetryRefusedEvents(retried())).refused == 2
        paid = event_types_pb2.EventType(type="order.paid")
        await admin.event_types.CreateEventType(event_type_service_pb2.CreateEventTypeRequest(event_type=paid))
        outcome = await admin.event_types.RetryRefusedEvents(retried())
        assert (outcome.stored, outcome.refused) == (1, 1)
        assert await types(admin) == ["order.paid"]
        assert await refused_types(admin) == {"order.placed": "TYPE_UNDECLARED"}


async def refused_types(api: Api) -> dict[str, str]:
    """The reasons by the types of the events that were refused."""
    found = (
        await api.event_types.ListRefusedEvents(event_type_service_pb2.ListRefusedEventsRequest(page_size=100))
    ).refused_events
    prefix = "REFUSAL_REASON_"
    return {each.event.type: events_pb2.RefusalReason.Name(each.reason).removeprefix(prefix) for each in found}


async def test_nobody_else_sends_as_the_server(database: Database) -> None:
    """A caller's event with such a source is refused."""
    async with counting(database) as (server, _):
        service = await server.sign_in("service")
        event = events_pb2.Event(id="1", source="/backroom/commerce", type="order.paid")
        (verdict,) = (await service.events.IngestEvents(event_service_pb2.IngestEventsRequest(events=[event]))).verdicts
    assert verdict.reason == events_pb2.REFUSAL_REASON_SOURCE_RESERVED
