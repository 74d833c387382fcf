"""Messages of a list that are sent again as they were, where what they are of has not changed."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar
from uuid import UUID

MAX_BYTES = 16 * 1024 * 1024
_ENTRY_BYTES = 600
"""About what an entry takes beside its message: an id, a state, and their places."""

Record = TypeVar("Record")


class MessageCache(Generic[Record]):
    """The messages of the records that were shown last, as bytes, in memory of bounded size.

    A message is given out for the very state of the record that it was made of. Whoever asks has just read that state
    from the database, so that a change shows at once, whichever server made it; who may see what is decided by the same
    statement, and nothing here. Of each record there is the message of one state: the next one takes its place.
    """

    def __init__(self, make: Callable[[Record], bytes], *, max_bytes: int = MAX_BYTES) -> None:
        self._make = make
        self._max_bytes = max_bytes
        self._messages: OrderedDict[UUID, tuple[Any, bytes]] = OrderedDict()
        """By the records' ids, those first that were used least recently."""
        self.size_bytes = 0

    def find_all(self, wanted: Iterable[tuple[UUID, Any]]) -> list[bytes] | None:
        """The messages of records in these states, each given by its id and its state; None where one is missing."""
        found = []
        for record_id, state in wanted:
            known = self._messages.get(record_id)
            if known is None or known[0] != state:
                return None
            self._messages.move_to_end(record_id)
            found.append(known[1])
        return found

    def add(self, record_id: UUID, state: Any, record: Record) -> bytes:
        """Makes the message of a record that was read in this state, and keeps it as long as there is room."""
        message = self._make(record)
        self._remove(record_id)
        self._messages[record_id] = (state, message)
        self.size_bytes += len(message) + _ENTRY_BYTES
        while self.size_bytes > self._max_bytes:
            self._remove(next(iter(self._messages)))
        return message

    def _remove(self, record_id: UUID) -> None:
        if (known := self._messages.pop(record_id, None)) is not None:
            self.size_bytes -= len(known[1]) + _ENTRY_BYTES
