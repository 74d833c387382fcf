"""How often each variant was served: counted in memory, and stored every few seconds."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from server.flags.rules.evaluating import TARGETING_KEY, Evaluation
from server.flags.service.exposures import Exposures, exposed_events
from server.frame.log import described
from server.frame.outages import Outage, explained
from storage.errors import StoreError
from storage.flags.records import Served, UsagePeriod
from storage.flags.store import FlagsStore

FLUSH_SECONDS = 5.0
"""How old a count may be that is not stored yet."""
_STOP_SECONDS = 3.0
"""How long a process that stops waits for the last of them."""
_LOG_AFTER_SECONDS = 10.0
_MAX_COUNTS = 200_000
"""So many are kept while the database is away; what is served beyond is not counted."""
_MINUTE, _DAY = 60, 86_400
"""In seconds."""

_Key = tuple[str, str, str, int]
"""A flag set, a flag, a variant, and a minute, as the seconds since 1970 at which it begins."""


class Counting:
    """Counts what is served. A process that is killed loses what it has not stored.

    Nothing is counted twice, except where the database does not confirm a commit: those counts are stored again.
    """

    def __init__(
        self,
        store: FlagsStore,
        logger: structlog.typing.FilteringBoundLogger,
        *,
        flush_seconds: float = FLUSH_SECONDS,
        max_counts: int = _MAX_COUNTS,
        exposures: Exposures | None = None,
    ) -> None:
        """With `exposures`, who was served what is stored with the counts."""
        self._store = store
        self._logger = logger
        self._flush_seconds = flush_seconds
        self._max_counts = max_counts
        self._exposures = exposures
        self._counts: dict[_Key, int] = {}
        self._flushing = asyncio.Lock()

    def count(self, flag_set_id: str, served: Evaluation, seconds: int, context: Mapping[str, Any]) -> None:
        """Counts one evaluation of a context, at a time in seconds since 1970."""
        if self._exposures is not None:
            self._exposures.note(flag_set_id, served, context.get(TARGETING_KEY), seconds)
        key = (flag_set_id, served.flag_key, served.variant or "", seconds - seconds % _MINUTE)
        counts = self._counts
        if key in counts:
            counts[key] += 1
        elif len(counts) < self._max_counts:
            counts[key] = 1

    async def run(self, already_logged: Callable[[], bool] = lambda: False) -> None:
        """Stores the counts every few seconds, until cancelled."""
        events = ("flag_usage_not_stored", "flag_usage_stored")
        outage, defect = (
            Outage(self._logger, *events, grace_seconds=_LOG_AFTER_SECONDS, already_logged=already_logged)
            for _ in range(2)
        )
        while True:
            await asyncio.sleep(self._flush_seconds)
            try:
                await self.flush()
                outage.record_recovery()
                defect.record_recovery()
            except StoreError as error:
                outage.record_failure(why=explained(error))
            except Exception as error:  # noqa: BLE001 - they are stored once that works
                defect.record_failure(fault=described(error))

    async def flush(self) -> None:
        """Stores what was counted; raises StoreError, and then keeps the counts for the next flush."""
        async with self._flushing:
            counts, self._counts = self._counts, {}
            if not counts:
                return
            exposed = self._exposures.take() if self._exposures else ()
            try:
                async with self._store.transaction() as tx:
                    for period, length in ((UsagePeriod.MINUTE, _MINUTE), (UsagePeriod.DAY, _DAY)):
                        await tx.usage.count(period, _served(counts, length))
                    await tx.events.publish(exposed_events(exposed))
            except BaseException:
                for key, count in self._counts.items():
                    counts[key] = counts.get(key, 0) + count
                self._counts = counts
                if self._exposures:
                    self._exposures.put_back(exposed)
                raise

    async def close(self) -> None:
        """Stores what is left, if the database takes it within a few seconds."""
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self.flush()
        except (StoreError, TimeoutError):
            self._logger.warning("flag_usage_lost", evaluations=sum(self._counts.values()))


def _served(counts: Mapping[_Key, int], length: int) -> list[Served]:
    """One count for each flag, variant and period of so many seconds."""
    merged: dict[_Key, int] = {}
    for (flag_set_id, flag_key, variant, minute), count in counts.items():
        key = (flag_set_id, flag_key, variant, minute - minute % length)
        merged[key] = merged.get(key, 0) + count
    return [
        Served(flag_set_id, flag_key, variant, datetime.fromtimestamp(start, UTC), count)
        for (flag_set_id, flag_key, variant, start), count in merged.items()
    ]
