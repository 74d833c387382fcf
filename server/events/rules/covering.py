"""Which rollups answer for a period, and which of its events have to be counted one by one."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from server.events.rules.windows import Bucket
from storage.events.measures import Level, Rolled, Sources, Span

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LENGTHS = {Level.DAY: 86_400_000_000, Level.HOUR: 3_600_000_000, Level.MINUTE: 60_000_000}
"""In microseconds, the longest first."""
_Piece = tuple[Level | None, int, int]


def covered(buckets: Sequence[Bucket], touched: Sequence[Span]) -> Sources:
    """Takes for each part of the buckets the longest rollups that lie in one bucket and are exact.

    `touched` are the times in which events came or went that the rollups do not have yet; they may overlap.
    """
    dirty = _Dirty(touched)
    rolled: list[Rolled] = []
    raw: list[Span] = []
    for level, start, end in _joined(piece for bucket in buckets for piece in _cover(bucket, dirty)):
        if level is None:
            raw.append(Span(_time(start), _time(end)))
        else:
            rolled.append(Rolled(level, _time(start), _time(end)))
    return Sources(rolled, raw)


class _Dirty:
    """Times that overlap with none of each other, in order."""

    def __init__(self, touched: Sequence[Span]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted((_number(each.start), _number(each.end)) for each in touched):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def clean_until(self, instant: int) -> int | None:
        """Until when it is clean from an instant on; None where it is not, and the instant itself where it is dirty."""
        place = bisect_right(self._starts, instant)
        if place and instant < self._ends[place - 1]:
            return instant
        return self._starts[place] if place < len(self._starts) else None

    def dirty_until(self, instant: int) -> int:
        """Until when it is dirty from a dirty instant on."""
        return self._ends[bisect_right(self._starts, instant) - 1]


def _cover(bucket: Bucket, dirty: _Dirty) -> Iterator[_Piece]:
    return _split(_number(bucket.start), _number(bucket.end), tuple(_LENGTHS), dirty)


def _split(start: int, end: int, levels: tuple[Level, ...], dirty: _Dirty) -> Iterator[_Piece]:
    """The part from whole bucket to whole bucket of the first level, and what is before and behind it by shorter
    ones."""
    if not levels:
        yield None, start, end
        return
    level, *others = levels
    shorter, length = tuple(others), _LENGTHS[level]
    first, last = -(-start // length) * length, end // length * length
    if first >= last:
        yield from _split(start, end, shorter, dirty)
        return
    if start < first:
        yield from _split(start, first, shorter, dirty)
    yield from _whole(first, last, level, shorter, dirty)
    if last < end:
        yield from _split(last, end, shorter, dirty)


def _whole(at: int, last: int, level: Level, shorter: tuple[Level, ...], dirty: _Dirty) -> Iterator[_Piece]:
    """Whole buckets of a level: the clean ones by their rollups, and the others by shorter ones."""
    length = _LENGTHS[level]
    while at < last:
        clean = dirty.clean_until(at)
        whole = last if clean is None else min(clean // length * length, last)
        if at < whole:
            yield level, at, whole
            at = whole
        elif clean == at and dirty.dirty_until(at) >= at + length:
            # Nothing within is clean, and no shorter rollups are looked for.
            until = min(dirty.dirty_until(at) // length * length, last)
            yield None, at, until
            at = until
        else:
            yield from _split(at, at + length, shorter, dirty)
            at += length


def _joined(pieces: Iterator[_Piece]) -> Iterator[_Piece]:
    """Neighbors of one level together."""
    last: _Piece | None = None
    for level, start, end in pieces:
        if last is not None and last[0] == level and last[2] == start:
            last = (level, last[1], end)
            continue
        if last is not None:
            yield last
        last = (level, start, end)
    if last is not None:
        yield last


def _number(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _time(number: int) -> datetime:
    return _EPOCH + number * _MICROSECOND
