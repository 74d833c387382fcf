"""Concurrent writers, sealers and verifiers of the record."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

import pytest

from storage.database import Database
from storage.store import FRAME
from tests.fixtures.keys import MASTER_KEYS
from tests.frame.test_repository import turned_back
from tests.identity.records import auditing_on, entry, events, recorded, verified
from tests.invariants import assert_whole


@asynccontextmanager
async def opened(url: str, count: int) -> AsyncIterator[list[Database]]:
    """This many servers' databases, each with its own connections."""
    databases = [Database(url, audit_key=MASTER_KEYS.audit_key, pool_size=3) for _ in range(count)]
    try:
        yield databases
    finally:
        for database in databases:
            await database.close()


async def write(database: Database, writer: int, times: int) -> None:
    """Transactions of one to three entries, some of which wait before they commit, and some of which roll back."""
    for number in range(times):
        begun = turned_back(database) if number % 7 == 6 else database.store(FRAME).transaction()
        async with begun as tx:
            for _ in range(1 + number % 3):
                await tx.audit.record([entry(number, resource=f"writer/{writer}")])
                await asyncio.sleep(0.002 * (writer % 3))


async def until(done: asyncio.Event, work: AsyncIterator[None]) -> int:
    rounds = 0
    async for _ in work:
        rounds += 1
        if done.is_set():
            return rounds
    raise AssertionError


async def sealing(database: Database) -> AsyncIterator[None]:
    while True:
        await auditing_on(database).seal()
        await asyncio.sleep(0)
        yield


async def verifying(database: Database) -> AsyncIterator[None]:
    """Verification passes at any moment."""
    while True:
        found = await verified(database)
        assert found.fault is None
        assert found.complete
        yield


@pytest.mark.parametrize("times", [20, pytest.param(400, marks=pytest.mark.proof)])
async def test_concurrent_sealers_and_writers_make_one_complete_chain(
    database: Database, database_url: str, times: int
) -> None:
    """Each committed event is in it once, and nothing else is; no place is used twice."""
    async with opened(database_url, 4) as servers:
        done = asyncio.Event()
        sealers = [asyncio.create_task(until(done, sealing(server))) for server in servers[:3]]
        verifier = asyncio.create_task(until(done, verifying(servers[3])))
        await asyncio.gather(*(write(servers[number % 4], number, times) for number in range(6)))
        done.set()
        assert all(rounds > 1 for rounds in await asyncio.gather(*sealers, verifier))
    await auditing_on(database).seal()
    found = await verified(database)
    written = await events(database)
    committed = 6 * sum(1 + number % 3 for number in range(times) if number % 7 != 6)
    assert (found.verified, found.complete, found.fault) == (committed, True, None)
    assert sorted(event.position for event in written) == list(range(1, committed + 1))
    await assert_whole(database)


async def test_one_writers_events_are_chained_in_the_order_in_which_they_were_written(
    database: Database,
) -> None:
    """Although other transactions end in between."""
    sealers = [asyncio.create_task(auditing_on(database).seal()) for _ in range(2)]
    await asyncio.gather(*(write(database, writer, 12) for writer in range(3)), *sealers)
    await auditing_on(database).seal()
    for writer in range(3):
        mine = await events(database, resource=f"writer/{writer}")
        by_sequence = sorted(mine, key=lambda event: event.sequence)
        assert [event.position for event in by_sequence] == sorted(event.position for event in mine)


@pytest.mark.proof
async def test_a_backlog_of_two_hundred_thousand_is_sealed_and_verified(database: Database) -> None:
    """Prints the speed; no transaction takes long."""
    count = 200_000
    began = perf_counter()
    for first in range(0, count, 5_000):
        await recorded(database, *(entry(first + number) for number in range(5_000)))
    wrote = perf_counter()
    assert await auditing_on(database).seal() == count
    sealed = perf_counter()
    after = 0
    while True:
        found = await verified(database, after=after, limit=100_000)
        assert found.fault is None
        after = found.last.position
        if found.complete:
            break
    ended = perf_counter()
    assert after == count
    seconds = {"written": wrote - began, "sealed": sealed - wrote, "verified": ended - sealed}
    print({name: f"{count / took:,.0f} events/s" for name, took in seconds.items()})  # noqa: T201 - a proof's figures
