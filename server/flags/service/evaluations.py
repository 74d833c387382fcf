"""Evaluating from the snapshot in memory: no database, however often it is asked."""

from collections.abc import Mapping
from typing import Any

from server.flags.rules.evaluating import Evaluation, evaluated, evaluated_all, of_type
from server.flags.service.counting import Counting
from server.flags.service.following import CurrentFlags
from storage.flags.records import FlagType


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
        self._counting.count(flag_set_id, found, seconds)
        return found

    def all(self, flag_set_id: str, context: Mapping[str, Any], seconds: int) -> Mapping[str, Evaluation]:
        """What each flag of a set evaluates to, by its key, without those that fail; raises DatabaseUnavailable."""
        results = evaluated_all(self._current.view(flag_set_id), context, seconds)
        found = {key: each for key, each in results.items() if isinstance(each, Evaluation)}
        for each in found.values():
            self._counting.count(flag_set_id, each, seconds)
        return found

    def metadata(self, flag_set_id: str) -> Mapping[str, Any]:
        """A flag set's own; raises DatabaseUnavailable."""
        return self._current.view(flag_set_id).metadata
