from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic
from uuid import UUID

from server.events.rules.windows import EARLIEST, LATEST
from storage.events.measures import Meter, series_of_meter, series_of_type
from storage.events.store import EventsConfigurationStore, EventsStore, EventsTransaction

ROLL_UP = "events.roll_up"
_TOUCHED_AT_ONCE = 2_000
_REMOVED_AT_ONCE = 5_000
_MAX_SECONDS = 20.0
"""Of one job; another one goes on."""


class Rolling:
    """Keeps rollups up to date, of all types and meters; while it does not, queries count what they lack themselves.

    One at a time does it, whoever holds the lock. It reads the meters after it has the lock: so a minute is counted for
    each meter that anybody may have made ready before.
    """

    def __init__(
        self,
        store: EventsStore,
        configuration: EventsConfigurationStore,
        clock: Callable[[], float] = monotonic,
        *,
        at_once: int = _TOUCHED_AT_ONCE,
    ) -> None:
        self._store = store
        self._configuration = configuration
        self._clock = clock
        self._at_once = at_once

    async def roll_up(self) -> None:
        """Until nothing is left to do, another one does it, or it has taken long enough."""
        until = self._clock() + _MAX_SECONDS
        while await self._some() and self._clock() < until:
            pass

    async def _some(self) -> bool:
        """Whether it did anything, so that there may be more."""
        async with self._store.transaction() as tx:
            if not await tx.rollups.lock():
                return False
            meters = await self._meters()
            touched = await self._count_touched(tx, meters)
            progress = await tx.rollups.progress()
            return await self._remove(tx, meters, progress) or await self._make_ready(tx, meters, progress) or touched

    async def _meters(self) -> Sequence[Meter]:
        async with self._configuration.reading() as reading:
            return await reading.meters.list_by_name(after=None)

    async def _count_touched(self, tx: EventsTransaction, meters: Sequence[Meter]) -> bool:
        taken = await tx.rollups.take_touched(self._at_once)
        for event_type, minutes in taken.items():
            await tx.rollups.recount(series_of_type(event_type), minutes)
            for meter in meters:
                if meter.measure.event_type == event_type:
                    await tx.rollups.recount(series_of_meter(meter), minutes)
        return bool(taken)

    async def _make_ready(
        self, tx: EventsTransaction, meters: Sequence[Meter], progress: Mapping[UUID, datetime | None]
    ) -> bool:
        """Counts one more day of the first meter that lacks any, from the last one back."""
        for meter in meters:
            ready_from = progress.get(meter.id)
            if ready_from == EARLIEST:
                continue
            day = await tx.rollups.last_day_before(series_of_type(meter.measure.event_type), ready_from or LATEST)
            if day is not None:
                await tx.rollups.recount_day(series_of_meter(meter), day)
            await tx.rollups.set_ready_from(meter.id, day or EARLIEST)
            return True
        return False

    async def _remove(
        self, tx: EventsTransaction, meters: Sequence[Meter], progress: Mapping[UUID, datetime | None]
    ) -> bool:
        """Deletes some rollups of the first meter that is gone."""
        gone = progress.keys() - {meter.id for meter in meters}
        for meter_id in sorted(gone):
            if progress[meter_id] is not None:
                await tx.rollups.set_ready_from(meter_id, None)
            await tx.rollups.remove_meter(meter_id, _REMOVED_AT_ONCE)
            return True
        return False
