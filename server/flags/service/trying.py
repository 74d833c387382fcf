import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from server.flags.errors import FlagNotFound, TargetingFailed
from server.flags.rules.changes import Change, SetState
from server.flags.rules.evaluating import Evaluation, View, evaluated
from server.flags.rules.explaining import Explanation, explained
from server.flags.rules.fractional import Fractional
from server.flags.rules.snapshots import Snapshot
from server.flags.service.changing import Changing
from storage.flags.records import Configuration, Flag
from storage.flags.store import FlagsStore

Context = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """What one context is answered, and would be; None where clients know no such flag."""

    current: Evaluation | TargetingFailed | None
    tried: Evaluation | TargetingFailed | None


class Trying:
    """Evaluates flags for people who want to know why; from what is written by now, and not from a snapshot in memory.

    So every server sees a change as soon as it has been answered.
    """

    def __init__(
        self, store: FlagsStore, changing: Changing, now: Callable[[], datetime], fractional: Fractional
    ) -> None:
        self._store = store
        self._changing = changing
        self._now = now
        self._fractional = fractional

    async def explain(self, flag_set_id: str, key: str, context: Context) -> tuple[Explanation, int]:
        """What a flag evaluates to and why, and the configuration version; raises FlagNotFound."""
        state, version = await self._read(flag_set_id)
        timestamp = int(self._now().timestamp())
        return explained(self._view(state, flag_set_id, key), key, context, timestamp, self._fractional), version

    async def compare(
        self, make: Callable[[bool], Change], key: str, contexts: Sequence[Context]
    ) -> tuple[Sequence[Trial], Flag]:
        """What each context is answered by a flag as it stands and as it would be, and the latter.

        `make` gives the change, and is told whether there is the flag. Raises why the change cannot be made.
        """
        flag_set_id = make(True).flag_set_id
        state, _ = await self._read(flag_set_id)
        outcome = await self._changing.tried(make(key in state.flags))
        assert outcome.shown.flag is not None  # noqa: S101 - it is a change of a flag
        tried = outcome.shown.flag
        now = self._view(state, flag_set_id, key)
        then = self._view(replace(state, flags={**state.flags, key: tried}), flag_set_id, key)
        timestamp = int(self._now().timestamp())
        # A thousand contexts would keep the event loop from other calls.
        return await asyncio.to_thread(lambda: [*_trials(now, then, key, contexts, timestamp)]), tried

    async def _read(self, flag_set_id: str) -> tuple[SetState, int]:
        async with self._store.snapshot_reading() as reading:
            flag_set = await reading.configuration.find_set(flag_set_id)
            flags = await reading.flags.of_set(flag_set_id)
            segments = await reading.segments.of_set(flag_set_id)
            return SetState(flag_set, flags, segments), await reading.configuration.version()

    def _view(self, state: SetState, flag_set_id: str, key: str) -> View:
        """Of one flag with what it depends on: to compile thousands for one would take long."""
        sets = [state.flag_set] if state.flag_set else []
        news = Configuration(1, [*_reached(state.flags, key)], [*state.segments.values()], sets)
        return Snapshot.empty(self._fractional).after(news).view(flag_set_id)


def _reached(flags: Mapping[str, Flag], key: str) -> Iterator[Flag]:
    """The flag and its prerequisites, direct or through others."""
    waiting, seen = [key], {key}
    while waiting:
        flag = flags.get(waiting.pop())
        if flag is not None:
            yield flag
            new = {each.flag_key for each in flag.prerequisites} - seen
            seen |= new
            waiting += new


def _trials(now: View, then: View, key: str, contexts: Sequence[Context], timestamp: int) -> Iterator[Trial]:
    for context in contexts:
        yield Trial(*(_evaluated(view, key, context, timestamp) for view in (now, then)))


def _evaluated(view: View, key: str, context: Context, timestamp: int) -> Evaluation | TargetingFailed | None:
    try:
        return evaluated(view, key, context, timestamp)
    except FlagNotFound:
        return None
    except TargetingFailed as failed:
        return failed
