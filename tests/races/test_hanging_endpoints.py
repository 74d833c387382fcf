"""Endpoints that accept and never respond delay no other endpoint."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from server.frame.jobs import Worker
from server.webhooks.jobs import outbox_tasks
from server.webhooks.rules.scheduling import SLOTS
from server.webhooks.service import Purging, Sealing
from storage.database import Database
from storage.webhooks.records import DeliveryState
from storage.webhooks.store import WEBHOOKS
from tests.fixtures.applications import QUIET
from tests.fixtures.trading import eventually
from tests.webhooks.outgoing import SEALS, Outbox, listening, outbox_on, subscriber

HANGING = 100


@dataclass
class BlackHole:
    """Accepts requests, and answers none until it is closed."""

    taken: list[asyncio.StreamWriter] = field(default_factory=list)
    ended: int = 0
    """How many were given up by their sender."""
    closed: bool = False
    port: int = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed:
            writer.close()
            return
        self.taken.append(writer)
        await reader.read()
        self.ended += not self.closed

    def close(self) -> None:
        self.closed = True
        for writer in self.taken:
            writer.close()


@asynccontextmanager
async def black_hole() -> AsyncIterator[BlackHole]:
    hole = BlackHole()
    async with listening(hole.take) as hole.port:
        yield hole


@asynccontextmanager
async def working(outbox: Outbox, database_url: str, hole: BlackHole) -> AsyncIterator[None]:
    """A worker runs the outbox's jobs, until the black hole is closed at the end of the block."""
    purging = Purging(outbox.database.store(WEBHOOKS), outbox.now)
    tasks = outbox_tasks(
        outbox.relay(), outbox.turns, outbox.deliveries, purging, Sealing(outbox.database.store(WEBHOOKS), SEALS)
    )
    worker = Worker(database_url, tasks, QUIET, CollectorRegistry())
    worker.start()
    try:
        yield
    finally:
        outbox.moves(minutes=1)
        hole.close()
        await worker.stop()


async def test_a_healthy_endpoint_receives_its_events_while_a_hundred_hang(
    database: Database, database_url: str
) -> None:
    """More than a thousand deliveries wait for those, and the healthy one gets each event exactly once."""
    async with subscriber() as shop, black_hole() as hole, outbox_on(database, limit=600) as outbox:
        await outbox.relayed()
        for number in range(HANGING):
            await outbox.endpoint(f"http://127.0.0.1:{hole.port}/{number}")
        healthy = await outbox.endpoint(shop.url)
        async with working(outbox, database_url, hole):
            await outbox.happens(*(f"first.{number}" for number in range(10)))
            await eventually(lambda: outbox.sent(healthy, state=DeliveryState.SUCCEEDED), lambda sent: len(sent) == 10)
            await eventually(lambda: asyncio.sleep(0, len(hole.taken)), lambda taken: taken == SLOTS * HANGING)
            await outbox.happens(*(f"second.{number}" for number in range(10)))
            await eventually(lambda: outbox.sent(healthy, state=DeliveryState.SUCCEEDED), lambda sent: len(sent) == 20)
            assert (len(hole.taken), hole.ended) == (SLOTS * HANGING, 0)
        told = [heard.type for heard in shop.heard]
        assert len(told) == len(set(told)) == 20
