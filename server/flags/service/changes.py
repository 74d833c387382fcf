"""Streams of which flags of a set have changed."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

from server.flags.rules.snapshots import Difference, Snapshot, changed_since, differences
from server.flags.service.following import CurrentFlags
from server.frame.module import Clock

QUIET_SECONDS = 20.0
"""After so long without a change, a listener gets a keep-alive event."""
_RECENT = timedelta(minutes=2)
"""A stream begins with the changes of so long: flagd's clients open a new one every ten minutes, and after a restart,
some seconds after the last one has ended, and keep what they cached."""
_KEPT = 64
"""How many differences between two versions are cached: all listeners need the same ones."""


class Changes:
    """What changed in a flag set from one version to a later one."""

    def __init__(self, current: CurrentFlags, now: Clock, *, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._current = current
        self._now = now
        self._quiet_seconds = quiet_seconds
        self._known: OrderedDict[tuple[str, int, int], Mapping[str, Difference]] = OrderedDict()

    async def listen(self, flag_set_id: str) -> AsyncIterator[Mapping[str, Difference]]:
        """Yields an empty mapping at once, and what changed recently, if anything.

        Then yields each change, and an empty mapping where there was none for a while.

        Raises DatabaseUnavailable, and Stopping.
        """
        clock = asyncio.get_running_loop().time
        snapshot = self._current.snapshot
        with self._current.streams.open():
            yield {}
            if recent := changed_since(snapshot.view(flag_set_id), self._now() - _RECENT):
                yield recent
            told = clock()
            while True:
                newer = await self._current.after(snapshot.version, self._quiet_seconds - (clock() - told))
                changed = {} if newer is None else self._between(flag_set_id, snapshot, newer)
                snapshot = newer or snapshot
                if changed or newer is None:
                    yield changed
                    told = clock()

    def _between(self, flag_set_id: str, old: Snapshot, new: Snapshot) -> Mapping[str, Difference]:
        key = (flag_set_id, old.version, new.version)
        found = self._known.get(key)
        if found is None:
            before, after = old.view(flag_set_id), new.view(flag_set_id)
            found = self._known[key] = {} if before is after else differences(before, after)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found
