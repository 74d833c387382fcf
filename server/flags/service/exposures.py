"""Who was served which variant, told once a day, in memory until it is stored with the counts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_OID, uuid5

import orjson

from server.flags.rules.evaluating import Evaluation
from server.flags.rules.events import EXPOSED
from storage.frame.records import Event

_MAX_KNOWN = 200_000
"""Of persons and variants that one process remembers of a day, in some 30 MB; beyond, it begins anew, and tells some
again."""
_MAX_WAITING = 10_000
"""So many wait to be stored; what is served beyond is not told."""
_DAY = 86_400
"""In seconds."""

_Key = tuple[str, str, str, str]
"""A flag set, a flag, a variant and a person."""


class Exposures:
    """Gathers who was served which variant of which flag: the first time on a day in UTC.

    Of what several processes tell of one person, flag, variant and day, one is counted: it has the same subject.
    """

    def __init__(self, *, most_known: int = _MAX_KNOWN, most_waiting: int = _MAX_WAITING) -> None:
        self._most_known = most_known
        self._most_waiting = most_waiting
        self._day = 0
        self._known: set[int] = set()
        self._waiting: list[tuple[_Key, int]] = []

    def note(self, flag_set_id: str, served: Evaluation, person: object, seconds: int) -> None:
        """That a person was served a variant, at a time in seconds since 1970; nothing where nobody is named."""
        if not isinstance(person, str) or not person or not served.variant:
            return
        if self._day != seconds // _DAY or len(self._known) >= self._most_known:
            self._day, self._known = seconds // _DAY, set()
        key = (flag_set_id, served.flag_key, served.variant, person)
        known = hash(key)
        if known not in self._known and len(self._waiting) < self._most_waiting:
            self._known.add(known)
            self._waiting.append((key, seconds))

    def take(self) -> Sequence[tuple[_Key, int]]:
        """What waits, and does so no longer."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def put_back(self, taken: Sequence[tuple[_Key, int]]) -> None:
        """What could not be stored waits again."""
        self._waiting = [*taken, *self._waiting]


def exposed_events(taken: Sequence[tuple[_Key, int]]) -> Sequence[Event]:
    """As the log has them; the subject is the same of one person, flag, variant and day."""
    return [_event(key, seconds) for key, seconds in taken]


def _event(key: _Key, seconds: int) -> Event:
    flag_set_id, flag_key, variant, person = key
    time = datetime.fromtimestamp(seconds, UTC)
    subject_id = uuid5(NAMESPACE_OID, orjson.dumps([*key, time.date().isoformat()]).decode())
    data = {"flag_set_id": flag_set_id, "flag_key": flag_key, "variant": variant, "targeting_key": person}
    return Event(EXPOSED, subject_id, orjson.dumps(data).decode(), time)
