"""Attempts, counted in the database."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from server.identity.credentials.keys import KeyRing
from server.identity.errors import TooManyAttempts
from server.identity.rules import throttling as rules
from server.identity.service import Throttling
from storage.database import Database
from storage.identity.store import IDENTITY
from tests.fixtures.keys import MASTER_KEYS
from tests.identity.people import Clock, kept

DEVICE = UUID(int=7)
EMAIL = "ada@example.com"
HOME, ELSEWHERE = "203.0.113.7", "198.51.100.9"
ATTACKERS = [f"192.0.2.{place}" for place in range(1, 51)]


@pytest.fixture
def throttling(database: Database, clock: Clock) -> Throttling:
    return Throttling(database.store(IDENTITY), KeyRing(database.store(IDENTITY), MASTER_KEYS, clock), clock)


async def wait_of(throttling: Throttling, counters: Sequence[rules.Counter]) -> float:
    """Makes an attempt; returns how long it has to wait instead, or 0 if it was made."""
    try:
        await throttling.begin(counters)
    except TooManyAttempts as refused:
        return refused.retry_after or -1
    return 0


async def test_of_200_attempts_at_once_five_are_made(throttling: Throttling) -> None:
    """Each is counted, and the count committed, before it is made."""
    counters = rules.signing_in(EMAIL, HOME)
    waits = await asyncio.gather(*(wait_of(throttling, counters) for _ in range(200)))
    assert waits.count(0) == 5
    assert set(waits) == {0, 1}


async def test_concurrent_attempts_in_any_order_do_not_deadlock(throttling: Throttling) -> None:
    """Many accounts from many addresses, all crossing."""
    pairs = [(f"{one}@example.com", f"192.0.2.{two}") for one in range(6) for two in range(6)]
    crossing = [rules.signing_in(email, address) for email, address in pairs]
    turned = [tuple(reversed(counters)) for counters in crossing]
    waits = await asyncio.gather(*(wait_of(throttling, counters) for counters in [*crossing, *turned]))
    assert waits.count(0) == 30


async def test_the_stated_wait_is_exact(throttling: Throttling, clock: Clock) -> None:
    """A moment earlier is too early, and then it is not."""
    counters = rules.signing_in(EMAIL, HOME)
    for wait in (0, 0, 0, 0, 0, 1, 2, 4, 8):
        if wait:
            assert await wait_of(throttling, counters) == wait
            clock.advance(seconds=wait - 0.001)
            assert await wait_of(throttling, counters) == pytest.approx(0.001)
            clock.advance(seconds=0.001)
        assert await wait_of(throttling, counters) == 0


async def test_an_attempt_refused_by_one_counter_counts_for_none(throttling: Throttling, database: Database) -> None:
    """Being throttled at one account uses up nothing elsewhere."""
    for _ in range(5):
        await throttling.begin(rules.signing_in(EMAIL, HOME))
    before = await kept(database, "identity.attempts")
    for address in (HOME, ELSEWHERE):
        assert await wait_of(throttling, rules.signing_in(EMAIL, address)) == 1
    assert await kept(database, "identity.attempts") == before


async def test_neither_addresses_nor_entered_texts_are_stored(throttling: Throttling, database: Database) -> None:
    """The counters' keys are keyed hashes."""
    await throttling.begin(rules.signing_in("typed my passw0rd here", HOME))
    everything = await kept(database, "identity.attempts")
    assert everything.count("key") == 3
    assert HOME not in everything
    assert "passw0rd" not in everything


async def test_a_success_resets_the_accounts_counters(throttling: Throttling, database: Database) -> None:
    """It takes one off its address's counter, where others' failures remain."""
    counters = rules.signing_in(EMAIL, HOME)
    for place in range(3):
        await throttling.begin(rules.signing_in(f"{place}@example.com", HOME))
    attempts = [await throttling.begin(counters) for _ in range(4)]
    async with database.store(IDENTITY).transaction() as tx:
        await throttling.succeeded(tx, attempts[-1])
    async with database.store(IDENTITY).reading() as tx:
        counted = await tx.attempts.read(attempts[-1].keys)
    assert [each.count for each in counted.values()] == [6]
    assert list(counted) == list(attempts[-1].shared)


async def test_an_attempt_that_was_not_made_does_not_count(throttling: Throttling) -> None:
    """However often."""
    for _ in range(8):
        await throttling.withdraw(await throttling.begin(rules.signing_in(EMAIL, HOME)))


async def test_an_owner_gets_in_during_any_attack(throttling: Throttling, clock: Clock) -> None:
    """Three addresses attack for six hours; with a device token the owner may always try."""
    begin = clock()
    while clock() - begin < timedelta(hours=6):
        waits = [await wait_of(throttling, rules.signing_in(EMAIL, each)) for each in ATTACKERS[:3]]
        assert await wait_of(throttling, rules.signing_in_with(DEVICE)) == 0
        async with throttling._store.transaction() as tx:
            await throttling.clear(tx, rules.signing_in_with(DEVICE))
        clock.advance(seconds=max(1, min(waits)))


async def test_old_counters_are_purged(throttling: Throttling, database: Database, clock: Clock) -> None:
    """And nothing else is."""
    await throttling.begin(rules.registering(HOME))
    clock.advance(minutes=59)
    await throttling.begin(rules.registering(ELSEWHERE))
    clock.advance(minutes=2)
    await throttling.purge()
    assert (await kept(database, "identity.attempts")).count("key") == 1
