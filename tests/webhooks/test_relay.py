"""From the event log to deliveries: none is skipped or duplicated, whatever commits late or dies."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from uuid import uuid4

import pytest
from sqlalchemy import text

from backroom.webhooks.v1 import endpoints_pb2
from backroom.webhooks.v1 import webhook_service_pb2 as pb
from server.frame.editing import Edit
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.frame.records import Event
from storage.store import FRAME
from storage.transaction import Transaction
from storage.webhooks.records import DeliveryState, EndpointState
from storage.webhooks.store import WEBHOOKS
from tests.commerce.goods import placed, stocked
from tests.fixtures.servers import running
from tests.fixtures.trading import eventually
from tests.storage.waiting import waits
from tests.webhooks.outgoing import CALLER, LOOPBACK, Outbox, outbox_on, subscriber

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KILL_WHO_WAITS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def publish(tx: Transaction, outbox: Outbox, *types: str) -> None:
    await tx.events.publish([Event(each, uuid4(), "{}", outbox.time) for each in types])


async def test_an_order_reaches_its_subscriber(database: Database, database_url: str) -> None:
    """From the call through the log, the relay and the queue to the request, with a worker."""
    async with (
        subscriber() as shop,
        running(database, jobs_on=database_url, allowed_networks=LOOPBACK) as server,
    ):
        service = await server.sign_in("service")
        await service.webhooks.CreateEndpoint(
            pb.CreateEndpointRequest(endpoint=endpoints_pb2.Endpoint(url=shop.url, event_types=["order.placed"]))
        )
        await eventually(lambda: followed(database), bool)
        await stocked(service, "A", 1)
        order = await placed(service, ("A", 1))
        await eventually(lambda: asyncio.sleep(0, shop.heard), bool)
        (heard,) = shop.heard
        assert heard.type == "order.placed"
        assert order.order_id.encode() in heard.body


async def followed(database: Database) -> bool:
    async with database.store(WEBHOOKS).transaction() as tx:
        return await tx.relay.position() is not None


async def test_the_first_relay_begins_at_the_present(database: Database) -> None:
    """Events from before it are not sent."""
    async with outbox_on(database) as outbox:
        endpoint = await outbox.endpoint()
        await outbox.happens("order.placed")
        await outbox.relayed()
        await outbox.happens("order.paid")
        await outbox.relayed()
        assert await outbox.types_of(endpoint) == ["order.paid"]


async def test_an_event_goes_to_each_subscribed_endpoint(outbox: Outbox) -> None:
    """No types mean all, and a disabled endpoint gets none."""
    everything = await outbox.endpoint()
    paid = await outbox.endpoint("https://example.com", "order.paid")
    disabled = await outbox.endpoint()
    await outbox.endpoints.edit(Edit(disabled.id, "", {"state": EndpointState.DISABLED}), CALLER, outbox.ask)
    await outbox.happens("order.placed", "order.paid", "something.unknown")
    await outbox.relayed()
    assert await outbox.types_of(everything) == ["order.paid", "order.placed", "something.unknown"]
    assert await outbox.types_of(paid) == ["order.paid"]
    assert await outbox.types_of(disabled) == []


async def test_a_delivery_contains_the_event(outbox: Outbox) -> None:
    """The event's data byte by byte, with its type and its time."""
    endpoint = await outbox.endpoint()
    await outbox.happens("order.paid", data='{"b":  1.50, "a": "\\u00e9"}')
    await outbox.relayed()
    (delivery,) = await outbox.sent(endpoint)
    time = outbox.time.isoformat()
    assert delivery.body == f'{{"type":"order.paid","timestamp":"{time}","data":{{"b":  1.50, "a": "\\u00e9"}}}}'
    assert (delivery.state, delivery.next_attempt_time) == (DeliveryState.PENDING, outbox.time)


async def test_an_event_that_commits_late_is_sent_once(outbox: Outbox) -> None:
    """Its transaction started first, and ended after a later one was sent."""
    endpoint = await outbox.endpoint()
    async with outbox.database.store(FRAME).transaction() as late:
        await publish(late, outbox, "late")
        await outbox.happens("early")
        await outbox.relayed()
        assert await outbox.types_of(endpoint) == ["early"]
    await outbox.relayed()
    assert await outbox.types_of(endpoint) == ["early", "late"]
    await outbox.relayed()
    assert await outbox.types_of(endpoint) == ["early", "late"]


class Overlapping:
    """Up to four concurrent transactions that publish events; each event has a type of its own."""

    def __init__(self, database: Database, random: Random) -> None:
        self._database = database
        self._random = random
        self._open: list[tuple[AsyncExitStack, Transaction, list[str]]] = []
        self.published: Counter[str] = Counter()
        """What has committed."""

    async def step(self) -> None:
        """One of them starts, publishes or ends."""
        acts = [self._begin] if len(self._open) < 4 else []
        await self._random.choice([*acts, *([self._publish, self._publish, self._end] if self._open else [])])()

    async def end_all(self) -> None:
        while self._open:
            await self._end()

    async def _begin(self) -> None:
        stack = AsyncExitStack()
        self._open.append((stack, await stack.enter_async_context(self._database.store(FRAME).transaction()), []))

    async def _publish(self) -> None:
        _, tx, said = self._random.choice(self._open)
        said.append(str(uuid4()))
        await tx.events.publish([Event(said[-1], uuid4(), "{}", NOW)])

    async def _end(self) -> None:
        stack, _, said = self._open.pop(self._random.randrange(len(self._open)))
        await stack.aclose()
        self.published.update(said)


@pytest.mark.parametrize("seed", range(8))
async def test_however_transactions_overlap_each_event_is_read_once(database: Database, seed: int) -> None:
    """They start, publish and end in any order, and the log is read at any moment, in pages of any size."""
    random = Random(seed)  # noqa: S311 - not for secrets
    writers = Overlapping(database, random)
    read: Counter[str] = Counter()
    await page(database, 1)
    for _ in range(120):
        await writers.step()
        if random.random() < 0.3:
            read.update(await page(database, random.randint(1, 3)))
    await writers.end_all()
    while found := await page(database, 2):
        read.update(found)
    assert len(writers.published) > 10
    assert read == writers.published


async def page(database: Database, size: int) -> list[str]:
    """The types of the log's next events, about this many."""
    async with database.store(WEBHOOKS).transaction() as tx:
        since = await tx.relay.position() or (await tx.relay.find_end()).snapshot
        news = await tx.relay.find_news(since)
        until = await tx.relay.cut(since, news.snapshot, size)
        await tx.relay.move(until)
        return [event.type for event in await tx.relay.read(since, until)]


async def test_a_backlog_is_relayed_in_pages(outbox: Outbox) -> None:
    """A page ends with a transaction, and each event is sent once."""
    endpoint = await outbox.endpoint()
    for number in range(20):
        await outbox.happens(*(f"{number:02}.{each}" for each in range(number % 4)))
    relay = outbox.relay(page=5)
    counts = [0]
    more = True
    while more:
        more = await relay.relay()
        counts.append(len(await outbox.sent(endpoint)))
    assert counts[-1] == 30
    assert all(5 <= later - earlier <= 7 for earlier, later in pairwise(counts[:-1]))
    told = await outbox.types_of(endpoint)
    assert len(told) == len(set(told))


async def test_a_relay_that_dies_leaves_no_trace(outbox: Outbox) -> None:
    """Killed after its deliveries were written and before its position was: the next one writes them, once."""
    endpoint = await outbox.endpoint()
    await outbox.happens("a", "b", "c")
    async with outbox.database.store(FRAME).transaction() as tx:
        await tx._connection.execute(text("SELECT FROM webhooks.relay FOR UPDATE"))
        relaying = await waits(outbox.database, outbox.relay().relay())
        await tx._connection.execute(KILL_WHO_WAITS)
        with pytest.raises(StoreUnavailable):
            await relaying
    assert await outbox.types_of(endpoint) == []
    await outbox.relayed()
    assert await outbox.types_of(endpoint) == ["a", "b", "c"]


async def test_a_second_relay_does_nothing(outbox: Outbox) -> None:
    """It does not wait, and leaves the log to the other one."""
    endpoint = await outbox.endpoint()
    await outbox.happens("a", "b")
    async with outbox.database.store(WEBHOOKS).transaction() as other:
        assert await other.relay.try_lock()
        assert not await outbox.relay(page=1).relay()
        assert await outbox.types_of(endpoint) == []
    await outbox.relayed(page=1)
    assert await outbox.types_of(endpoint) == ["a", "b"]


async def test_events_from_before_an_endpoint_are_not_sent_later(outbox: Outbox) -> None:
    """The relay advances all the same."""
    await outbox.happens("before")
    await outbox.relayed()
    endpoint = await outbox.endpoint()
    await outbox.happens("after")
    await outbox.relayed()
    assert await outbox.types_of(endpoint) == ["after"]


async def test_a_restored_database_is_followed_from_the_present_on(outbox: Outbox) -> None:
    """Its transaction ids start again, far below the stored position."""
    endpoint = await outbox.endpoint()
    async with outbox.database.store(FRAME).transaction() as tx:
        await tx._connection.execute(text("UPDATE webhooks.relay SET snapshot = '9000000:9000000:'"))
    await outbox.happens("lost")
    await outbox.relayed()
    await outbox.happens("told")
    await outbox.relayed()
    assert await outbox.types_of(endpoint) == ["told"]
