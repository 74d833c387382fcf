"""Events whose keys are claimed by COPY, since all of them are probably new: the same verdicts, whatever is known."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from storage.database import Database
from storage.events.records import CONFLICT, DUPLICATE, STORED, NewEvent
from storage.events.repository import ingest
from storage.events.store import EVENTS
from tests.events.test_keeping import NOW, partitions, scalar, sent

COUNT = 2 * ingest._LEAST_COPIED


def events(first: int, *, data: str = "") -> list[NewEvent]:
    return [sent(f"event {number}", data=data) for number in range(first, first + COUNT)]


async def stored(database: Database, new: Sequence[NewEvent]) -> list[object]:
    await partitions(database).ensure(event.time for event in new)
    async with database.store(EVENTS).transaction() as tx:
        return list(await tx.ingest.store(new, NOW, probably_new=True))


async def test_new_events_are_stored_by_copy_alone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else claims their keys, which are known from then on."""
    with monkeypatch.context() as patched:
        patched.delattr(ingest, "_claimed")
        assert await stored(database, events(0)) == [STORED] * COUNT
    assert await stored(database, events(0)) == [DUPLICATE] * COUNT
    assert await scalar(database, "SELECT count(*) FROM events.events") == COUNT
    assert await scalar(database, "SELECT sum(event_count) FROM events.batches") == COUNT


async def test_known_ones_among_them_are_found(database: Database) -> None:
    """And their neighbors are stored, each once."""
    await stored(database, events(0))
    half = COUNT // 2
    mixed = [*events(half), *events(half, data="{}")[:half]]
    assert await stored(database, mixed) == [DUPLICATE] * half + [STORED] * half + [CONFLICT] * half
    assert await scalar(database, "SELECT count(*) FROM events.keys") == COUNT + half
    assert await scalar(database, "SELECT count(*) FROM events.events") == COUNT + half
    assert await scalar(database, "SELECT sum(event_count) FROM events.batches") == COUNT + half


@pytest.mark.parametrize("commits", [True, False])
async def test_two_transactions_claim_the_same_keys(database: Database, *, commits: bool) -> None:
    """The later one waits for the end of the earlier one, and stores what that did not."""
    await partitions(database).ensure([events(0)[0].time])
    with suppress(ZeroDivisionError):
        async with database.store(EVENTS).transaction() as tx:
            assert await tx.ingest.store(events(0), NOW, probably_new=True) == [STORED] * COUNT
            later = asyncio.create_task(stored(database, events(COUNT // 2)))
            while not await scalar(database, "SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.01)
            if not commits:
                raise ZeroDivisionError
    half = COUNT // 2
    assert await later == [DUPLICATE if commits else STORED] * half + [STORED] * half
    assert await scalar(database, "SELECT count(*) FROM events.keys") == COUNT + (half if commits else 0)
    assert await scalar(database, "SELECT count(*) FROM events.events") == COUNT + (half if commits else 0)
