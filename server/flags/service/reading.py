from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import orjson

from server.flags.errors import FlagNotFound, FlagSetNotFound, SegmentNotFound
from server.flags.rules.documents import written
from server.flags.rules.staleness import Stale, stale
from server.frame.errors import FieldInvalid
from storage.flags.records import Flag, FlagSet, FlagState, FlagVersion, Segment, Served, UsagePeriod
from storage.flags.store import FlagsReading, FlagsStore

MAX_PERIODS = 10_000
"""Between the times that GetFlagUsage takes."""
_DAY = timedelta(days=1)
_LENGTHS: Mapping[UsagePeriod, timedelta] = {UsagePeriod.MINUTE: timedelta(minutes=1), UsagePeriod.DAY: _DAY}
_LOOKED_AT_ONCE = 500
"""How many flags are read at once, of which few may be stale."""


class Flags:
    """Flags, segments and flag sets as they stand and stood, and how flags were served."""

    def __init__(self, store: FlagsStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def get(self, flag_set_id: str, key: str) -> Flag:
        """Raises FlagNotFound."""
        async with self._store.reading() as reading:
            return await _flag(reading, flag_set_id, key)

    async def list_by_key(
        self,
        flag_set_id: str,
        *,
        after: str | None,
        limit: int,
        archived: bool,
        prefix: str,
        state: FlagState | None,
        owner: str,
        size: int,
    ) -> Sequence[Flag]:
        """Up to so many flags, and fewer where they are large: those that have up to `size` bytes, and one more."""
        async with self._store.reading() as reading:
            return await reading.flags.list_by_key(
                flag_set_id,
                after=after,
                limit=limit,
                archived=archived,
                prefix=prefix,
                state=state,
                owner=owner,
                size=size,
            )

    async def list_versions(
        self, flag_set_id: str, key: str, *, before: int | None, limit: int
    ) -> Sequence[FlagVersion]:
        """What a flag was, latest first; raises FlagNotFound."""
        async with self._store.reading() as reading:
            flag = await _flag(reading, flag_set_id, key)
            return await reading.flags.list_versions(flag.id, before=before, limit=limit)

    async def exported(self, flag_set_id: str, *, with_details: bool) -> str:
        """A flag set as flagd's JSON; raises FlagSetNotFound."""
        async with self._store.snapshot_reading() as reading:
            flag_set = await _flag_set(reading, flag_set_id)
            flags = await reading.flags.of_set(flag_set_id)
            segments = await reading.segments.of_set(flag_set_id)
        live = [each for each in flags.values() if not each.archived]
        rules = {name: each.rule for name, each in segments.items() if not each.archived}
        root = written(live, rules, flag_set.metadata, with_details=with_details)
        return orjson.dumps(root, option=orjson.OPT_INDENT_2).decode()

    async def get_set(self, flag_set_id: str) -> FlagSet:
        """Raises FlagSetNotFound."""
        async with self._store.reading() as reading:
            return await _flag_set(reading, flag_set_id)

    async def list_sets(self, *, after: str | None, limit: int) -> Sequence[FlagSet]:
        async with self._store.reading() as reading:
            return await reading.configuration.list_sets(after=after, limit=limit)

    async def get_segment(self, flag_set_id: str, name: str) -> Segment:
        """Raises SegmentNotFound."""
        async with self._store.reading() as reading:
            found = await reading.segments.find(flag_set_id, name)
        if found is None or found.archived:
            raise SegmentNotFound(name=name)
        return found

    async def list_segments(self, flag_set_id: str, *, after: str | None, limit: int) -> Sequence[Segment]:
        async with self._store.reading() as reading:
            return await reading.segments.list_by_name(flag_set_id, after=after, limit=limit)

    async def usage(
        self, flag_set_id: str, key: str, period: UsagePeriod, start: datetime | None, end: datetime | None
    ) -> Sequence[Served]:
        """How often each variant was served in each period; raises FieldInvalid, FlagNotFound."""
        until = end or self._now()
        since = start or until - _DAY
        if since > until:
            raise FieldInvalid.of("start_time", "must not be later than end_time")
        if (until - since) / _LENGTHS[period] > MAX_PERIODS:
            raise FieldInvalid.of("start_time", f"must be at most {MAX_PERIODS:,} periods before end_time")
        async with self._store.reading() as reading:
            await _flag(reading, flag_set_id, key)
            return await reading.usage.of_flag(period, flag_set_id, key, since, until)

    async def list_stale(
        self, flag_set_id: str, *, after: str | None, limit: int, unserved: timedelta, settled: timedelta, size: int
    ) -> Sequence[Stale]:
        """Flags that may be removed, by key."""
        now = self._now()
        found: list[Stale] = []
        async with self._store.reading() as reading:
            while len(found) < limit:
                flags = await reading.flags.list_by_key(
                    flag_set_id, after=after, limit=_LOOKED_AT_ONCE, archived=False, size=size
                )
                if not flags:
                    break
                after = flags[-1].key
                usage = await reading.usage.of_flags(flag_set_id, [each.key for each in flags], now - settled)
                judged = (stale(each, usage.get(each.key), now, unserved=unserved, settled=settled) for each in flags)
                found += [each for each in judged if each is not None]
        return found[:limit]


async def _flag(reading: FlagsReading, flag_set_id: str, key: str) -> Flag:
    found = await reading.flags.find(flag_set_id, key)
    if found is None:
        raise FlagNotFound(flag_set_id=flag_set_id, flag_key=key)
    return found


async def _flag_set(reading: FlagsReading, flag_set_id: str) -> FlagSet:
    found = await reading.configuration.find_set(flag_set_id)
    if found is None:
        raise FlagSetNotFound(flag_set_id=flag_set_id)
    return found
