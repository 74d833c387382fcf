"""A feed: every watcher receives every change, once and in order, whenever it starts and however it reads."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from server.commerce.service.watching import StockChanges
from server.frame.errors import ResumeTokenExpired, Stopping
from server.frame.resuming import Position
from server.frame.watching import Feed, WatchMessage, WatchMessages
from storage.commerce.records import Movement, Product
from storage.commerce.store import COMMERCE, CommerceReading, CommerceTransaction
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.frame.records import ChangePage, LogEnd, LogRange, News
from storage.snapshots import Snapshot
from storage.store import FRAME
from tests.commerce.values import kept, product, receipt
from tests.fixtures.keys import MASTER_KEYS
from tests.identity.people import execute

StockFeed = Feed[CommerceReading, Movement, frozenset[str]]
ALL: frozenset[str] = frozenset()
SOON = 60.0
"""In seconds: far longer than anything here takes."""
TEA, MUG = product("TEA"), product("MUG")


def opened(database: Database, source: Any = None, **rest: float) -> StockFeed:
    return Feed(
        database.store(COMMERCE), source or StockChanges(), lambda: datetime.now(UTC), **{"poll_seconds": 0.01, **rest}
    )


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[StockFeed]:
    await kept(database, TEA, MUG)
    feed = opened(database)
    yield feed
    await feed.close()


async def received(tx: CommerceTransaction, of: Product, count: int) -> None:
    """This many movements, of one piece each; the starting level does not matter here."""
    await tx.stock.move([receipt(of, 1, note=str(number)) for number in range(count)])


async def committed(database: Database, of: Product, count: int = 1) -> None:
    async with database.store(COMMERCE).transaction() as tx:
        await received(tx, of, count)


async def read(telling: WatchMessages[Movement], count: int) -> list[WatchMessage[Movement]]:
    """The next messages that hold a change."""
    found: list[WatchMessage[Movement]] = []
    async with asyncio.timeout(SOON):
        while len(found) < count:
            told = await anext(telling)
            found += [told] if told.change else []
    return found


async def begun(telling: WatchMessages[Movement]) -> Position:
    """The first position that a watch receives."""
    async with asyncio.timeout(SOON):
        told = await anext(telling)
    assert told.change is None
    return told.position


def sequences(messages: Sequence[WatchMessage[Movement]]) -> list[int]:
    return [told.change.sequence for told in messages if told.change]


async def ledger(database: Database) -> list[int]:
    """The sequence of every movement."""
    async with database.store(COMMERCE).reading() as tx:
        found = [await tx.stock.list_movements(each.id, before=None, limit=10_000) for each in (TEA, MUG)]
    return sorted(movement.sequence for each in found for movement in each)


async def test_a_transaction_that_commits_late_is_delivered(database: Database, feed: StockFeed) -> None:
    """Its sequence is lower than others delivered before; a watch that resumes in between receives it too, once."""
    watch = feed.watch(None, ALL)
    start = await begun(watch)
    async with database.store(COMMERCE).transaction() as late:
        await received(late, TEA, 1)
        await committed(database, MUG)
        await committed(database, MUG)
        early = await read(watch, 2)
        between = feed.watch(early[0].position, ALL)
        assert sequences(await read(between, 1)) == [3]
    for telling, missing in ((watch, [1]), (between, [1]), (feed.watch(start, ALL), [1, 2, 3])):
        assert sorted(sequences(await read(telling, len(missing)))) == missing
    assert sequences(early) == [2, 3]


async def test_more_changes_than_one_page_arrive_in_order(database: Database, feed: StockFeed) -> None:
    """Page by page; each message's position resumes right after it, in the middle of a page as at its end."""
    watch = feed.watch(None, ALL)
    start = await begun(watch)
    await committed(database, TEA, 1700)
    told = await read(watch, 1700)
    assert sequences(told) == sequences(await read(feed.watch(start, ALL), 1700)) == await ledger(database)
    await committed(database, MUG)
    for place in (0, 498, 499, 500, 1234, 1699):
        rest = await read(feed.watch(told[place].position, ALL), 1700 - place)
        assert sequences(rest) == (await ledger(database))[place + 1 :]


async def test_a_watcher_receives_only_what_concerns_it(database: Database, feed: StockFeed) -> None:
    """Live and when read afterwards; all other changes are skipped."""
    skus = frozenset({"MUG", "NONE"})
    watch = feed.watch(None, skus)
    start = await begun(watch)
    for of in (TEA, MUG, TEA, TEA, MUG):
        await committed(database, of)
    await committed(database, TEA, 1200)
    await committed(database, MUG)
    for telling in (watch, feed.watch(start, skus)):
        assert sequences(await read(telling, 3)) == [2, 5, 1206]


async def test_a_watch_without_a_position_begins_with_new_changes(database: Database, feed: StockFeed) -> None:
    """Earlier commits are not delivered, even if another watch is just receiving them."""
    first = feed.watch(None, ALL)
    await begun(first)
    for number in range(1, 20):
        await committed(database, TEA)
        second = feed.watch(None, ALL)
        await begun(second)
        await committed(database, TEA)
        assert sequences(await read(second, 1)) == [2 * number]
        await second.aclose()
    assert sequences(await read(first, 38)) == await ledger(database)


@pytest.mark.parametrize("others", [[TEA], []])
async def test_a_quiet_watch_receives_its_position(database: Database, others: list[Product]) -> None:
    """Whether there are other watchers' changes, or none at all; and after a while it ends."""
    await kept(database, TEA, MUG)
    feed, mug = opened(database, quiet=0.1, lasting=0.8), frozenset({"MUG"})
    positions = []
    async with asyncio.timeout(SOON):
        async for told in feed.watch(None, mug):
            assert told.change is None
            positions.append(told.position)
            for each in others:
                await committed(database, each)
    assert len(positions) > 3
    for before, after in pairwise(positions):
        assert after.since.covers(before.since)
        assert after.time >= before.time
    assert positions[-1].time > positions[0].time
    assert not others or positions[-1].since != positions[0].since
    await committed(database, MUG)
    resumed = opened(database)
    assert sequences(await read(resumed.watch(positions[-1], mug), 1)) == [max(await ledger(database))]
    await feed.close()
    await resumed.close()


async def test_a_position_ahead_of_the_database_has_expired(feed: StockFeed) -> None:
    """The database was restored from an older copy: what the watch received may no longer have happened."""
    position = await begun(feed.watch(None, ALL))
    ahead = Snapshot(position.since.xmin, position.since.xmax + 1_000_000_000)  # beyond what other databases use up
    for lost in (replace(position, since=ahead), replace(position, until=ahead, after=1)):
        with pytest.raises(ResumeTokenExpired):
            await anext(feed.watch(lost, ALL))


async def test_a_watch_that_begins_on_an_emptied_log_receives_nothing_older(
    database: Database, feed: StockFeed
) -> None:
    """Other watches continue, and remember what the log held."""
    watches = [feed.watch(None, ALL) for _ in range(2)]
    for watch, change in zip(watches, (TEA, MUG), strict=True):
        await begun(watch)
        waiting = asyncio.ensure_future(read(watch, 1))
        await asyncio.sleep(0.1)  # it waits for new changes
        await committed(database, change)
        assert [told.change.sku for told in await waiting if told.change] == [change.sku]
        await execute(database, "TRUNCATE commerce.stock_movements")


class Failing(StockChanges):
    """A log that fails to be read on demand, and counts how often it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.looks = 0

    async def find_news(self, reading: CommerceReading, since: str) -> News:
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        return await super().find_news(reading, since)


@pytest.mark.parametrize("failure", [StoreUnavailable(), ValueError()])
async def test_a_feed_that_cannot_read_its_log_ends_its_watches(database: Database, failure: Exception) -> None:
    """All of them, immediately; later watches receive what was missed."""
    await kept(database, TEA, MUG)
    source = Failing()
    feed = opened(database, source)
    watches = [feed.watch(None, ALL) for _ in range(3)]
    positions = [await begun(watch) for watch in watches]
    waiting = [asyncio.ensure_future(anext(watch)) for watch in watches]
    source.failure = failure
    async with asyncio.timeout(SOON):
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in outcomes] == [type(failure)] * 3
    source.failure = None
    await committed(database, TEA)
    for position in positions:
        assert sequences(await read(feed.watch(position, ALL), 1)) == [1]
    await feed.close()


class Promoted(StockChanges):
    """A log in a database that switches to another timeline on demand."""

    timeline: str | None = None

    async def find_end(self, tx: CommerceReading) -> LogEnd:
        end = await super().find_end(tx)
        return replace(end, timeline=self.timeline or end.timeline)

    async def find_news(self, tx: CommerceReading, since: str) -> News:
        news = await super().find_news(tx, since)
        return replace(news, timeline=self.timeline or news.timeline)

    async def list_changes(
        self, tx: CommerceReading, log_range: LogRange, limit: int, audience: frozenset[str]
    ) -> ChangePage[Movement]:
        return await super().list_changes(
            tx, replace(log_range, timeline=(await tx.stock_changes.find_end()).timeline), limit, audience
        )


async def test_a_watch_that_begins_after_a_promotion_works(database: Database) -> None:
    """Earlier watches end, even if a new one starts before the feed has noticed; that one receives later changes."""
    await kept(database, TEA, MUG)
    source = Promoted()
    feed = opened(database, source, poll_seconds=0.5)
    former = feed.watch(None, ALL)
    await begun(former)
    await committed(database, TEA)
    [last] = await read(former, 1)
    waiting = asyncio.ensure_future(anext(former))
    await asyncio.sleep(0)
    source.timeline = "6b0d2c4e9a71f003.00000002"
    later = feed.watch(None, ALL)
    assert (await begun(later)).timeline == source.timeline
    reading = asyncio.ensure_future(read(later, 3))
    with pytest.raises(ResumeTokenExpired):
        await asyncio.wait_for(waiting, SOON)
    await committed(database, MUG, 3)
    assert sequences(await reading) == [2, 3, 4]
    with pytest.raises(ResumeTokenExpired):
        await anext(feed.watch(last.position, ALL))
    await later.aclose()
    await feed.close()


async def test_a_feed_without_watches_does_not_poll(database: Database) -> None:
    """The last watch stops the polling, and the next one restarts it."""
    await kept(database, TEA, MUG)
    source = Failing()
    feed = opened(database, source)
    for _ in range(2):
        watch = feed.watch(None, ALL)
        await begun(watch)
        await committed(database, TEA)
        await read(watch, 1)
        assert feed._poller._polling is not None
        async with asyncio.timeout(SOON):
            await watch.aclose()
            await feed._poller._polling
        looks = source.looks
        await asyncio.sleep(0.1)
        assert source.looks == looks
    await feed.close()


async def test_watches_that_do_not_read_hold_no_connection(database_url: str) -> None:
    """Ten of them, in the middle of a page, with a pool of two; once they read on, they miss nothing."""
    database = Database(database_url, audit_key=MASTER_KEYS.audit_key, pool_size=2)
    await kept(database, TEA, MUG)
    feed = opened(database)
    watches = [feed.watch(None, ALL) for _ in range(10)]
    for watch in watches:
        await begun(watch)
    await committed(database, TEA, 1100)
    heads = await asyncio.gather(*(read(watch, 1) for watch in watches))
    for _ in range(3):
        async with database.store(FRAME).reading(), database.store(COMMERCE).reading() as tx:
            assert await tx.stock.find_level("TEA")
        await committed(database, MUG)
    tails = await asyncio.gather(*(read(watch, 1102) for watch in watches))
    expected = await ledger(database)
    assert [sequences(head + tail) for head, tail in zip(heads, tails, strict=True)] == [expected] * 10
    for watch in watches:
        await watch.aclose()
    await feed.close()
    await database.close()


async def test_a_closed_feed_ends_its_watches(database: Database, feed: StockFeed) -> None:
    """A waiting one immediately, a reading one with its next message, and a new one does not start."""
    waits, reads = feed.watch(None, ALL), feed.watch(None, ALL)
    for watch in (waits, reads):
        await begun(watch)
    await committed(database, TEA, 2)
    for watch in (waits, reads):
        await read(watch, 1)
    await read(waits, 1)
    waiting = asyncio.ensure_future(anext(waits))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(feed.close())
    for telling in (waiting, anext(reads), anext(feed.watch(None, ALL))):
        with pytest.raises(Stopping):
            await asyncio.wait_for(telling, SOON)
    await asyncio.wait_for(closing, SOON)
