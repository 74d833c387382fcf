"""What was sent as an event and cannot be read as one."""

from typing import Self

from server.events.rules.judging import Refused
from storage.events.records import RefusalReason, SentEvent


class Malformed(SentEvent):
    """As much of it as could be read: it gets its verdict as the others of its batch do, and cannot be retried."""

    refused: Refused

    @classmethod
    def of(cls, known: SentEvent, reason: RefusalReason, message: str) -> Self:
        found = cls(*known)
        found.refused = Refused(reason, message)
        return found
