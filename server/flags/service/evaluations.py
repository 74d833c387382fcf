"""Evaluation from the snapshot in memory; the database is never read."""

import asyncio
from collections.abc import Mapping
from time import thread_time
from typing import Any

from server.flags.rules.evaluating import Evaluation, View, evaluated, evaluated_all, of_type
from server.flags.service.counting import Counting
from server.flags.service.following import CurrentFlags
from storage.flags.records import FlagType

_LARGE_BYTES = 8 * 1024
"""A context of which a rule may go through thousands of values: some 10 ms of one flag."""
_MANY_FLAGS = 200
"""So many are evaluated within a few milliseconds by a small context."""
_SMALL_BYTES = 256


def is_large(view: View, context_bytes: int, *, all_flags: bool) -> bool:
    """Whether one flag, or all flags of a set, may take longer to evaluate than other calls should wait.

    By how much there may be to go through: `some` asks its condition of each element of a client's list.
    """
    if context_bytes > _LARGE_BYTES:
        return True
    return all_flags and len(view.flags) * max(1, context_bytes // _SMALL_BYTES) > _MANY_FLAGS


class Evaluations:
    """What flags evaluate to now; each that is served is counted."""

    def __init__(self, current: CurrentFlags, counting: Counting) -> None:
        self._current = current
        self._counting = counting

    @property
    def version(self) -> int:
        """The configuration version that flags are evaluated by now."""
        return self._current.snapshot.version

    def one(
        self, flag_set_id: str, flag_key: str, context: Mapping[str, Any], seconds: int, *wanted: FlagType
    ) -> Evaluation:
        """What a flag evaluates to for a context, at a time in seconds since 1970; of any type where none is wanted.

        Raises FlagNotFound, TypeMismatch, TargetingFailed and DatabaseUnavailable.
        """
        found = evaluated(self._current.view(flag_set_id), flag_key, context, seconds)
        if wanted:
            of_type(found, *wanted)
        self._counting.count(flag_set_id, found, seconds, context)
        return found

    async def all(
        self, flag_set_id: str, context: Mapping[str, Any], seconds: int, context_bytes: int
    ) -> Mapping[str, Evaluation]:
        """What each flag of a set evaluates to, by its key, without those that fail; raises DatabaseUnavailable."""
        view = self._current.view(flag_set_id)
        if is_large(view, context_bytes, all_flags=True):
            results = await asyncio.to_thread(evaluated_all, view, context, seconds, thread_time)
        else:
            results = evaluated_all(view, context, seconds)
        found = {key: each for key, each in results.items() if isinstance(each, Evaluation)}
        for each in found.values():
            self._counting.count(flag_set_id, each, seconds, context)
        return found

    def metadata(self, flag_set_id: str) -> Mapping[str, Any]:
        """A flag set's own; raises DatabaseUnavailable."""
        return self._current.view(flag_set_id).metadata
