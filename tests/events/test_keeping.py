"""How long events are kept: partitions that are made and dropped, keys that are swept, and what is purged."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from server.events.rules.judging import micros
from server.events.service import Partitions, Purging
from server.events.service.partitions import MAX_DAYS
from storage.database import Database
from storage.events.encoding import new_event
from storage.events.records import CONFLICT, DUPLICATE, STORED, NewEvent, SentEvent
from storage.events.store import EVENTS
from storage.store import FRAME

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)


def sent(event_id: str, *, data: str = "", at: datetime = NOW, subject: str = "") -> NewEvent:
    return new_event(SentEvent(event_id, "/shop", "order.placed", subject, micros(at), data, {}), micros(NOW))


def partitions(database: Database, *, now: datetime = NOW, retention_days: int = 30) -> Partitions:
    return Partitions(database.store(EVENTS), lambda: now, retention_days)


async def days(database: Database) -> list[str]:
    async with database.store(EVENTS).reading() as reading:
        return [day.isoformat() for day in await reading.partitions.list_days()]


async def scalar(database: Database, statement: str) -> int:
    async with database.store(FRAME).transaction() as tx:
        return int((await tx._connection.execute(text(statement))).scalar_one())


async def store(database: Database, *events: NewEvent, received: datetime = NOW) -> list[object]:
    await partitions(database).ensure(event.time for event in events)
    async with database.store(EVENTS).transaction() as tx:
        return list(await tx.ingest.store(events, received))


async def test_days_are_made_ahead_and_on_demand(database: Database) -> None:
    """Whatever the time zone of the session, a day is one of UTC; what is there already stays."""
    made = partitions(database)
    await made.create_ahead()
    assert await days(database) == ["2026-03-29", "2026-03-30", "2026-03-31", "2026-04-01"]
    midnight = datetime(2026, 3, 28, tzinfo=UTC)
    assert not await made.ensure([micros(midnight), micros(midnight - timedelta(microseconds=1))])
    assert (await days(database))[:3] == ["2026-03-27", "2026-03-28", "2026-03-29"]
    await partitions(database).create_ahead()
    assert len(await days(database)) == 6
    edges = [midnight, midnight - timedelta(microseconds=1), midnight + timedelta(days=1, microseconds=-1)]
    assert await store(database, *(sent(str(at), at=at) for at in edges)) == [STORED] * 3


async def test_days_are_dropped_by_the_retention(database: Database) -> None:
    """With all their events, a day later than none of them is accepted any more; 0 keeps all."""
    old, kept = NOW - timedelta(days=32), NOW - timedelta(days=31)
    await store(database, sent("1", at=old), sent("2", at=kept), sent("3"))
    assert await partitions(database, retention_days=0).drop_old() == 0
    assert await partitions(database).drop_old() == 1
    assert await scalar(database, "SELECT count(*) FROM events.events") == 2
    assert await partitions(database).drop_old() == 0
    assert await partitions(database, now=NOW + timedelta(days=60)).drop_old() == 2


async def test_a_subjects_events_of_one_moment_are_deleted_some_at_a_time(database: Database) -> None:
    """However many happened at one time, as where times are dates: no transaction takes longer than others."""
    await store(database, *(sent(str(each), subject="jane") for each in range(25)), sent("other", subject="jan"))
    deleted: list[int] = []
    while not deleted or deleted[-1]:
        async with database.store(EVENTS).transaction() as tx:
            deleted.append(await tx.stored_events.delete_subject("jane", 10))
    assert deleted == [10, 10, 5, 0]
    assert await scalar(database, "SELECT count(*) FROM events.events") == 1


async def test_a_key_that_is_swept_just_then_is_claimed_anew(database: Database) -> None:
    """Between being found and being looked up: the event is new, and known from then on, as any other."""
    await store(database, sent("1"))
    async with database.store(FRAME).transaction() as tx:
        for statement in _SWEPT_MEANWHILE:
            await tx._connection.execute(text(statement))
    assert await store(database, sent("1", data="1"), sent("2")) == [STORED, STORED]
    assert await scalar(database, "SELECT count(*) FROM events.keys") == 2
    assert await store(database, sent("1", data="1"), sent("2", data="2")) == [DUPLICATE, CONFLICT]


_SWEPT_MEANWHILE = (
    # After a statement of the second batch that claims keys, those of the first batch are gone.
    """
    CREATE FUNCTION events.sweep_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        DELETE FROM events.keys WHERE batch = (SELECT min(sequence) FROM events.batches);
        DROP TRIGGER swept ON events.keys;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER swept AFTER INSERT ON events.keys FOR EACH STATEMENT EXECUTE FUNCTION events.sweep_first()",
)


async def test_a_day_that_was_dropped_meanwhile_is_made_again(database: Database) -> None:
    """The transaction leaves nothing behind, and is tried again."""
    await store(database, sent("1"))
    remembers = partitions(database)
    await remembers.ensure([micros(NOW)])
    async with database.store(EVENTS).transaction() as tx:
        assert await tx.partitions.drop(NOW.date())
    assert not remembers.forgotten
    remembers.forget()
    assert not await remembers.ensure([micros(NOW)])
    assert await store(database, sent("2")) == [STORED]


async def test_there_are_no_more_days_than_may_be(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event of another day is not stored."""
    assert MAX_DAYS == 4_000
    monkeypatch.setattr("server.events.service.partitions.MAX_DAYS", 2)
    full = partitions(database)
    assert not await full.ensure([micros(NOW), micros(NOW - timedelta(days=1))])
    third = NOW - timedelta(days=2)
    assert await full.ensure([micros(third), micros(NOW)]) == {micros(third) // 86_400_000_000}
    assert len(await days(database)) == 2


async def test_keys_are_known_for_30_days_and_then_swept(database: Database) -> None:
    """With the log of batches a day later; the events stay."""
    received = [NOW - timedelta(days=each) for each in (40, 31, 29, 0)]
    for place, time in enumerate(received):
        assert await store(database, sent(str(place)), received=time) == [STORED]
    await Purging(database.store(EVENTS), lambda: NOW).purge()
    assert await scalar(database, "SELECT count(*) FROM events.keys") == 2
    assert await scalar(database, "SELECT count(*) FROM events.batches") == 3
    assert await scalar(database, "SELECT count(*) FROM events.events") == 4
    assert await store(database, sent("2"), sent("3", data="{}"), sent("0")) == [DUPLICATE, CONFLICT, STORED]


async def test_nothing_is_swept_where_nothing_is_old(database: Database) -> None:
    """Nor where there is nothing at all."""
    purging = Purging(database.store(EVENTS), lambda: NOW)
    await purging.purge()
    await store(database, sent("1"))
    await purging.purge()
    assert await store(database, sent("1")) == [DUPLICATE]


async def test_what_the_first_of_two_was_decides_within_a_batch(database: Database) -> None:
    """Also where an earlier batch has decided already."""
    assert await store(database, sent("1"), sent("1", data="{}"), sent("1")) == [STORED, CONFLICT, DUPLICATE]
    assert await store(database, sent("1", data="{}"), sent("1", data="{}"), sent("1"), sent("2")) == [
        CONFLICT,
        CONFLICT,
        DUPLICATE,
        STORED,
    ]


async def test_a_transaction_that_fails_has_claimed_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after the claims fails: the keys are free."""

    async def fail(*_: object) -> None:
        raise RuntimeError("planted")

    with monkeypatch.context() as patched:
        patched.setattr("storage.events.repository.ingest._copied", fail)
        with pytest.raises(RuntimeError, match="planted"):
            await store(database, sent("1"))
    assert await store(database, sent("1")) == [STORED]


async def test_a_batch_of_known_events_leaves_no_batch(database: Database) -> None:
    """There is nothing for a watch to read."""
    await store(database, sent("1"))
    await store(database, sent("1"))
    assert await scalar(database, "SELECT count(*) FROM events.batches") == 1
