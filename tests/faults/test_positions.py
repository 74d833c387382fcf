"""Positions by transaction ids: after a promotion or a crash the database assigns some ids again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from backroom.commerce.v1.order_service_pb2 import ListOrdersRequest, WatchOrdersRequest
from backroom_client import AsyncWatch
from server.commerce.service.watching import StockChanges
from server.frame.errors import ResumeTokenExpired
from server.frame.watching import Feed, WatchMessages
from storage.commerce.records import Movement
from storage.commerce.store import COMMERCE, CommerceReading, CommerceTransaction
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.identity.store import IDENTITY
from storage.problems import ProblemKind
from storage.store import Store
from storage.url import sibling
from tests.commerce.goods import pages, placed, stocked
from tests.commerce.values import kept, product, receipt
from tests.commerce.watched import begun, received
from tests.faults.replication import synchronous
from tests.faults.succession import SOON, Failover, Succession, answered, handed_out, looked, opened
from tests.fixtures.servers import Api, refusal, running
from tests.fixtures.trading import eventually
from tests.identity.access_cache import AccessFixture
from tests.identity.records import auditing_on, entry, head, recorded, verified
from tests.webhooks.outgoing import outbox_on

LOST = 30
"""How many transactions are lost, so that their ids are assigned again."""
NEW = 50
"""How many follow: more than were lost."""
TEA = product("TEA")
ALL: frozenset[str] = frozenset()


@pytest.fixture
def failover(succession: Succession) -> Iterator[Failover]:
    """A failover to a standby for which no commit waits."""
    name, standby = succession.new_database(), succession.standby()
    yield Failover(succession, name, standby)
    if succession.primary is not standby:
        standby.crash()


async def orders_placed(api: Api, count: int) -> list[str]:
    """The ids of this many orders, each placed in its own transaction."""
    return [(await placed(api, ("A", 1))).order_id for _ in range(count)]


def watch(api: Api, token: str = "") -> Any:
    return api.orders.WatchOrders(WatchOrdersRequest(resume_token=token))


async def assert_expired(api: Api, token: str) -> None:
    refused = await refusal(watch(api, token).read())
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESUME_TOKEN_EXPIRED")


@pytest.mark.parametrize("lost", [0, LOST])
async def test_a_token_from_before_a_promotion_is_refused_for_good(failover: Failover, lost: int) -> None:
    """At once, and once the new primary has reached the old one's ids; also if commits waited for the standby.

    In that case nothing is lost.
    """
    async with opened(failover.url) as database, running(database) as server:
        service = await server.sign_in("service")
        await stocked(service, "A", 1000)
        watched = watch(service)
        await begun(watched)
        await orders_placed(service, 3)
        if lost:
            await failover.keep()
        else:
            synchronous(failover.succession.primary.url)
        await orders_placed(service, lost or 3)
        tokens = [message.resume_token for message in await received(watched, 3 + (lost or 3))]
        await failover.happen()
    async with opened(failover.url) as database, running(database) as server:
        service = await server.sign_in("service")
        for token in (tokens[0], tokens[-1]):
            await assert_expired(service, token)
        anew = watch(service)
        await begun(anew)
        new = await orders_placed(service, NEW)
        for token in (tokens[0], tokens[-1]):
            await assert_expired(service, token)
        assert [message.order.order_id for message in await received(anew, NEW)] == new


async def test_a_standby_sends_no_changes(failover: Failover) -> None:
    """Its snapshots do not show transactions under way, so late commits would be skipped."""
    async with opened(sibling(failover.standby.url, failover.name)) as database:
        with pytest.raises(StoreUnavailable) as raised:
            async with database.store(COMMERCE).reading() as tx:
                await tx.order_changes.find_end()
    assert raised.value.problem.kind is ProblemKind.STANDBY


class Gated(Store[CommerceReading, CommerceTransaction]):
    """A store that cannot be read while its gate is closed."""

    def __init__(self, database: Database) -> None:
        super().__init__(database._pool, COMMERCE, None)
        self.gate = asyncio.Event()
        self.gate.set()
        self._passed = 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[CommerceReading]:
        await self.gate.wait()
        self._passed += 1
        try:
            async with super().reading() as reading:
                yield reading
        finally:
            self._passed -= 1

    async def shut(self) -> None:
        """Closes the gate, and returns when no read is under way."""
        self.gate.clear()
        await eventually(lambda: asyncio.sleep(0, self._passed), lambda passed: passed == 0)


async def moved(database: Database, count: int = 1) -> None:
    """This many stock movements, all in one transaction."""
    async with database.store(COMMERCE).transaction() as tx:
        await tx.stock.move([receipt(TEA, 1, note=str(number)) for number in range(count)])


async def test_a_watch_under_way_ends_where_a_standby_was_promoted(failover: Failover) -> None:
    """Even if the feed never noticed the outage: one that waits, and one in the middle of a page."""
    database = Database(failover.either)
    store = Gated(database)
    feed = Feed(store, StockChanges(), lambda: datetime.now(UTC), poll_seconds=0.01, quiet=600)
    await kept(database, TEA)
    waits, reads = feed.watch(None, ALL), feed.watch(None, ALL)
    async with asyncio.timeout(SOON):
        for each in (waits, reads):
            assert (await anext(each)).change is None
        await moved(database, 1700)
        assert (await anext(reads)).change
        for _ in range(1700):
            assert (await anext(waits)).change
    await failover.keep()
    for _ in range(LOST):
        await moved(database)
    async with asyncio.timeout(SOON):
        for _ in range(LOST):
            assert (await anext(waits)).change
    waiting = asyncio.ensure_future(anext(waits))
    await asyncio.sleep(0.1)
    await store.shut()
    await failover.happen()
    await answered(database)
    for _ in range(NEW):
        await moved(database)
    store.gate.set()
    for ended in (waiting, all_of(reads)):
        with pytest.raises(ResumeTokenExpired):
            await asyncio.wait_for(ended, SOON)
    async with asyncio.timeout(SOON), aclosing(feed.watch(None, ALL)) as anew:
        assert (await anext(anew)).change is None
        await moved(database)
        assert (await anext(anew)).change
    await feed.close()
    await database.close()


async def all_of(telling: WatchMessages[Movement]) -> int:
    """The number of messages."""
    return len([each async for each in telling])


async def test_a_revocation_after_a_promotion_is_noticed(failover: Failover) -> None:
    """Its transaction id was used by another one on the old primary; the next poll finds it."""
    async with opened(failover.either) as database:
        door = AccessFixture(database)
        token, account, _ = await door.enter("manager")
        await door.access_cache.poll()
        await failover.keep()
        for _ in range(LOST):
            async with database.store(IDENTITY).transaction() as tx:
                await tx.access_changes.add([(await door.enter())[1].id], door.time)
        await door.access_cache.poll()
        before = await door.permissions(token)
        assert before
        await failover.happen()
        await answered(database)
        async with database.store(IDENTITY).transaction() as tx:
            await tx.accounts.revoke(account.id, "manager")
            await tx.access_changes.add([account.id], door.time)
        handed_out(failover.url, 5 * LOST)
        await looked(door)
        assert await door.permissions(token) == frozenset()


async def test_the_relay_skips_no_event_after_a_promotion(failover: Failover) -> None:
    """Relayed events are not relayed again, lost ones are gone; all later ones are delivered."""
    async with opened(failover.either) as database, outbox_on(database) as outbox:
        endpoint = await outbox.endpoint()
        await outbox.relayed()
        await outbox.happens("kept.relayed")
        await outbox.relayed()
        await outbox.happens("kept")
        await failover.keep()
        for number in range(LOST):
            await outbox.happens(f"lost.{number:02}")
            await outbox.relayed()
        await failover.happen()
        await answered(database)
        for number in range(NEW):
            await outbox.happens(f"new.{number:02}")
        await outbox.relayed()
        expected = ["kept", "kept.relayed", *(f"new.{number:02}" for number in range(NEW))]
        assert await outbox.types_of(endpoint) == expected


async def test_the_record_is_sealed_completely_after_a_promotion(failover: Failover) -> None:
    """Each existing entry has one place in the chain, and nothing foreign is found."""
    async with opened(failover.either) as database:
        await recorded(database, entry(1))
        assert await auditing_on(database).seal() == 1
        await recorded(database, entry(2))
        await failover.keep()
        for number in range(LOST):
            await recorded(database, entry(100 + number))
        assert await auditing_on(database).seal() == 1 + LOST
        await failover.happen()
        await answered(database)
        for number in range(NEW):
            await recorded(database, entry(200 + number))
        assert await auditing_on(database).seal() == 1 + NEW
        found = await verified(database)
        assert (found.verified, found.complete, found.fault) == (2 + NEW, True, None)
        assert found.last == await head(database)


async def test_a_watcher_that_can_list_misses_nothing_across_a_promotion(failover: Failover) -> None:
    """Everything that exists afterwards was listed or sent; each later order was sent once, or listed."""
    listed: set[str] = set()
    seen: list[str] = []
    async with opened(failover.either) as database, running(database) as server:
        service = await server.sign_in("service")
        await stocked(service, "A", 1000)

        async def relist() -> None:
            listed.clear()
            seen.clear()
            listed.update(await orders_of(service))

        async def follow() -> None:
            async for message in AsyncWatch(service.orders.WatchOrders, WatchOrdersRequest(), relist=relist):
                seen.extend([message.order.order_id] if message.HasField("order") else ())

        following = asyncio.create_task(follow())
        await orders_placed(service, 3)
        await failover.keep()
        lost = await orders_placed(service, LOST)
        await eventually(lambda: asyncio.sleep(0, lost[-1] in {*seen, *listed}), bool)
        await failover.happen()
        await answered(database)
        new = await orders_placed(service, NEW)
        await eventually(lambda: asyncio.sleep(0, new[-1] in {*seen, *listed}), bool)
        assert {*listed, *seen} == set(await orders_of(service))
        assert not {*listed, *seen} & set(lost)
        assert len(seen) == len(set(seen))
        assert [each for each in new if each not in listed] == [each for each in seen if each not in listed]
        following.cancel()
        await asyncio.wait([following])


async def orders_of(api: Api) -> list[str]:
    """The ids of all existing orders."""
    found = await pages(api.orders.ListOrders, ListOrdersRequest(page_size=100), "orders")
    return [order.order_id for page in found for order in page]
