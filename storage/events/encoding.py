"""An event as PostgreSQL's binary COPY takes it, and the hashes by which it is known.

The format: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
Each field is preceded by its length in four bytes. An event is encoded once, when it comes in: what its transaction
adds is its sequence, which is therefore the first column.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from struct import Struct

import orjson

from storage.events.records import MICROSECONDS, NEW, NewEvent, SentEvent

COLUMNS = ("sequence", "time", "receive_time", "source", "type", "id", "subject", "data", "attributes")

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_HEAD = Struct("!hiq").pack
_KEY_ROW = Struct("!hi16si16siq").pack
_TIMES = Struct("!iqiq").pack
_LENGTH = Struct("!i").pack
_TIME = Struct("!q").pack
_POSTGRES_EPOCH = 946_684_800 * MICROSECONDS
"""2000-01-01, from which PostgreSQL counts."""
_HASH_BYTES = 16
_HASH = blake2b(digest_size=_HASH_BYTES)
"""Of nothing; a copy of it costs half of a new one."""


class _Lengths(dict[int, bytes]):
    """The length of each field as it is written; the usual ones are there."""

    def __missing__(self, length: int) -> bytes:
        return _LENGTH(length)


_LENGTHS = _Lengths({length: _LENGTH(length) for length in range(2_048)})


def new_event(sent: SentEvent, receive_time: int) -> NewEvent:
    """The event to be stored; `receive_time` is in microseconds since 1970.

    The digest is of all that was sent: a time that was not sent is not in it.
    """
    event_id, source, kind, subject, time, data, attributes = sent
    known_as, origin = _origin(source, kind)
    id_bytes, subject_bytes, data_bytes = event_id.encode(), subject.encode(), data.encode()
    parts = (
        origin,
        _LENGTHS[len(id_bytes)],
        id_bytes,
        _LENGTHS[len(subject_bytes)],
        subject_bytes,
        _LENGTHS[len(data_bytes)] if data_bytes else _NULL,
        data_bytes,
        _attributes(attributes) if attributes else _NULL,
    )
    content = b"".join(parts)
    key, digest = _HASH.copy(), _HASH.copy()
    key.update(known_as + id_bytes)
    if time is None:
        time = receive_time
    else:
        digest.update(_TIME(time))
    digest.update(content)
    row = _TIMES(8, time - _POSTGRES_EPOCH, 8, receive_time - _POSTGRES_EPOCH) + content
    return NEW(NewEvent, (key.digest(), digest.digest(), kind, time, row))


def copied(rows: Iterable[bytes], first_sequence: int) -> bytes:
    """What COPY is given, of the rows of new events, which have sequences from `first_sequence` on."""
    parts = [_SIGNATURE]
    for sequence, row in enumerate(rows, first_sequence):
        parts += (_HEAD(len(COLUMNS), 8, sequence), row)
    parts.append(_TRAILER)
    return b"".join(parts)


def copied_keys(new: Iterable[NewEvent], batch: int) -> bytes:
    """What COPY is given to claim the keys of new events, in the order of the keys, for a batch."""
    rows = [_KEY_ROW(3, _HASH_BYTES, event[0], _HASH_BYTES, event[1], 8, batch) for event in sorted(new)]
    return b"".join((_SIGNATURE, *rows, _TRAILER))


def refused_id(sent: SentEvent) -> bytes:
    """16 bytes, the same for the same event with the same content, whatever it holds."""
    content = orjson.dumps([*sent[:6], sorted(sent.attributes.items())], option=orjson.OPT_NON_STR_KEYS)
    return blake2b(content, digest_size=_HASH_BYTES).digest()


def uuid_array(values: Sequence[bytes]) -> bytes:
    """Values of 16 bytes as PostgreSQL's uuid[] in binary."""
    head = _UUID_ARRAY(1, 0, 2950, len(values), 1)
    return head + b"".join([_UUID_LENGTH + value for value in values])


_UUID_ARRAY = Struct("!iiiii").pack
_UUID_LENGTH = _LENGTH(16)


@lru_cache(4096)
def _origin(source: str, kind: str) -> tuple[bytes, bytes]:
    """What many events have alike: what the id follows in what the key is a hash of, and both as they are stored."""
    encoded = source.encode(), kind.encode()
    return encoded[0] + b"\0", b"".join(_LENGTH(len(each)) + each for each in encoded)


def _attributes(attributes: Mapping[str, str]) -> bytes:
    encoded = orjson.dumps(dict(attributes), option=orjson.OPT_SORT_KEYS)
    return _LENGTH(len(encoded)) + encoded
