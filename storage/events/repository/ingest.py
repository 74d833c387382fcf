"""Storing what is new: the hot path, by the driver's own ways, since each event costs microseconds here."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import AsyncCursor
from psycopg.adapt import Dumper
from psycopg.errors import UniqueViolation
from psycopg.pq import Format

from storage.base import Repository
from storage.errors import translated_here
from storage.events.encoding import COLUMNS, copied, copied_keys, uuid_array
from storage.events.records import CONFLICT, DUPLICATE, MICROSECONDS, STORED, NewEvent, Verdict

MAX_BATCH = 65_536
"""Events of one transaction: the numbers that a batch has for its events."""

_MINUTE = 60 * MICROSECONDS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UUID_ARRAY_OID = 2951

_BEGIN = """
    INSERT INTO events.batches (event_count, first_time, last_time, receive_time)
    VALUES (%s, %s, %s, %s) RETURNING sequence
"""
_RECOUNT = "UPDATE events.batches SET event_count = %s WHERE sequence = %s"
_DROP = "DELETE FROM events.batches WHERE sequence = %s"
# In the order of the keys: of two batches that have several in common, neither waits for the other one's.
_CLAIM = """
    INSERT INTO events.keys (key, digest, batch)
    SELECT given.key, given.digest, %s FROM unnest(%s, %s) AS given (key, digest) ORDER BY given.key
    ON CONFLICT DO NOTHING
"""
_COPY_KEYS = "COPY events.keys (key, digest, batch) FROM STDIN (FORMAT binary)"
_LEAST_COPIED = 50
"""Keys that are claimed by COPY, which takes two round trips more."""
_KNOWN = """
    SELECT uuid_send(keys.key), uuid_send(keys.digest) FROM events.keys
    JOIN unnest(%s) AS given (key) ON keys.key = given.key WHERE keys.batch <> %s
"""
_COPY = f"COPY events.events ({', '.join(COLUMNS)}) FROM STDIN (FORMAT binary)"
_TOUCH = "INSERT INTO events.touched (type, minute) SELECT * FROM unnest(%s::text[], %s::timestamptz[])"


class IngestRepository(Repository):
    """Stores events that are new, each once, however many transactions are given it at the same time.

    An event's key is claimed in the very transaction that stores the event. Where another transaction has claimed it
    and not ended, this one waits for its end: if that commits, the event is known, and if it rolls back, it is new.
    """

    async def store(
        self, events: Sequence[NewEvent], receive_time: datetime, *, probably_new: bool = False
    ) -> Sequence[Verdict]:
        """What became of each: stored, duplicate or conflict, in their order; of two that are the same, the first is
        stored.

        It costs less if none of them is known and that was probable, and more if that was probable and one is known.
        Their days must have partitions. Where one has none, StoreContention is raised.
        """
        first: dict[bytes, int] = {}
        for place, event in enumerate(events):
            first.setdefault(event.key, place)
        new = [events[place] for place in first.values()] if len(first) < len(events) else events
        async with self._cursor() as cursor:
            sequence = await _begun(cursor, new, receive_time)
            all_new = probably_new and len(new) >= _LEAST_COPIED and await _keys_copied(cursor, new, sequence)
            known = {} if all_new else await _claimed(cursor, new, sequence)
            stored = [event for event in new if event.key not in known] if known else new
            await _recounted(cursor, sequence, len(stored), len(new))
            if stored:
                await _copied(cursor, stored, sequence * MAX_BATCH)
        if new is events and not known:
            return [STORED] * len(events)
        return [_verdict(place, event, events[first[event.key]], first, known) for place, event in enumerate(events)]

    @asynccontextmanager
    async def _cursor(self) -> AsyncIterator[AsyncCursor[Any]]:
        connection: Any = (await self._connection.get_raw_connection()).driver_connection
        with translated_here():
            async with connection.cursor(binary=True) as cursor:
                cursor.adapters.register_dumper(_Keys, _KeysDumper)
                yield cursor


async def _begun(cursor: AsyncCursor[Any], new: Sequence[NewEvent], receive_time: datetime) -> int:
    times = [event.time for event in new]
    values = (len(new), _time(min(times)), _time(max(times)), receive_time)
    await cursor.execute(_BEGIN, values)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - it was inserted
    return int(row[0])


async def _claimed(cursor: AsyncCursor[Any], new: Sequence[NewEvent], sequence: int) -> Mapping[bytes, bytes]:
    """Claims the keys, and returns those that were known, with their digests."""
    claimed, known = 0, dict[bytes, bytes]()
    # Again where a key is neither claimed nor known: it was old, and deleted between the two statements.
    while claimed + len(known) < len(new):
        left = [event for event in new if event.key not in known] if known else new
        keys = _Keys([event.key for event in left])
        await cursor.execute(_CLAIM, (sequence, keys, _Keys([event.digest for event in left])))
        claimed += cursor.rowcount
        if claimed + len(known) < len(new):
            await cursor.execute(_KNOWN, (keys, sequence))
            known |= {bytes(key): bytes(digest) for key, digest in await cursor.fetchall()}
    return known


async def _keys_copied(cursor: AsyncCursor[Any], new: Sequence[NewEvent], sequence: int) -> bool:
    """Claims the keys in half the time, if none of them is known; otherwise claims none, and returns False.

    Like `_CLAIM`, it waits for whoever has claimed one of them and not ended, in the order of the keys.
    """
    await cursor.execute("SAVEPOINT claimed")
    try:
        async with cursor.copy(_COPY_KEYS) as copy:
            await copy.write(copied_keys(new, sequence))
    except UniqueViolation:
        await cursor.execute("ROLLBACK TO SAVEPOINT claimed")
        return False
    await cursor.execute("RELEASE SAVEPOINT claimed")
    return True


async def _recounted(cursor: AsyncCursor[Any], sequence: int, count: int, expected: int) -> None:
    if count == 0:
        await cursor.execute(_DROP, (sequence,))
    elif count < expected:
        await cursor.execute(_RECOUNT, (count, sequence))


async def _copied(cursor: AsyncCursor[Any], stored: Sequence[NewEvent], first_sequence: int) -> None:
    async with cursor.copy(_COPY) as copy:
        await copy.write(copied([event.row for event in stored], first_sequence))
    touched = {(event.type, event.time // _MINUTE) for event in stored}
    types = [kind for kind, _ in touched]
    await cursor.execute(_TOUCH, (types, [_time(minute * _MINUTE) for _, minute in touched]))


def _verdict(
    place: int, event: NewEvent, same: NewEvent, first: Mapping[bytes, int], known: Mapping[bytes, bytes]
) -> Verdict:
    digest = known.get(event.key)
    if digest is None and first[event.key] == place:
        return STORED
    return DUPLICATE if event.digest == (digest or same.digest) else CONFLICT


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


class _Keys:
    """Values of 16 bytes that are given to a statement as uuid[]."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self.array = uuid_array(values)


class _KeysDumper(Dumper):
    format = Format.BINARY
    oid = _UUID_ARRAY_OID

    def dump(self, obj: _Keys) -> bytes:
        return obj.array
