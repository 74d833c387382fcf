"""The events of one message, judged one by one."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from server.events.rules.judging import MAX_EVENT_BYTES, Differing, Judge, Refused, micros
from server.events.rules.malformed import Malformed
from storage.events.encoding import new_event, refused_id
from storage.events.records import (
    MICROSECONDS,
    STORED,
    NewEvent,
    Outcome,
    RefusalReason,
    RefusedEvent,
    SentEvent,
    Verdict,
)

DAY = 86_400 * MICROSECONDS
"""In microseconds."""
_MAX_KEPT_CHARACTERS = 1_000
"""Of an id, a source, a type or a subject that is refused."""
_TOO_MANY_DAYS = Refused(
    RefusalReason.TOO_OLD, "time: events of as many different days are stored as there may be, and of this one none yet"
)


class JudgedBatch:
    """What becomes of each event of a message, before it is known which are new."""

    def __init__(
        self, sent: Sequence[SentEvent], judge: Judge, account_id: UUID | None, now: datetime, *, own: bool = False
    ) -> None:
        """`own` is whether the server itself reports them."""
        self.events: list[NewEvent] = []
        """Those that are to be stored."""
        self.refused: list[RefusedEvent] = []
        self._account_id = account_id
        self._now = now
        self._sent = sent
        self._places: list[int] = []
        """Of those that are to be stored, in the message."""
        self._said: dict[int, Verdict] = {}
        """Of those that are refused, and of those that are stored with a remark, by their places in the message."""
        received = micros(now)
        for place, event in enumerate(sent):
            said = event.refused if isinstance(event, Malformed) else judge.judged(event, own=own)
            if said is None or isinstance(said, Differing):
                self._places.append(place)
                self.events.append(new_event(event, received))
                if said is not None:
                    self._said[place] = Verdict(Outcome.STORED, message=said.message)
            else:
                self._refuse(place, said)
        self.size = sum([len(event.row) for event in self.events]) + sum(len(each.event.data) for each in self.refused)
        """In bytes, about as they are stored."""

    def refuse_days(self, days: Collection[int]) -> None:
        """Refuses those of these days, counted from 1970: they can have no partition."""
        refused = {place for place, event in zip(self._places, self.events, strict=True) if event.time // DAY in days}
        left = [each for each in zip(self._places, self.events, strict=True) if each[0] not in refused]
        self._places, self.events = [place for place, _ in left], [event for _, event in left]
        for place in sorted(refused):
            self._refuse(place, _TOO_MANY_DAYS)

    def answered(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        """The verdict on each event of the message, from those on the events that were to be stored."""
        if not self._said:
            return verdicts
        found = {place: verdict for place, verdict in self._said.items() if verdict.outcome is Outcome.REFUSED}
        for place, verdict in zip(self._places, verdicts, strict=True):
            found[place] = self._said.get(place, verdict) if verdict is STORED else verdict
        return [found[place] for place in range(len(self._sent))]

    def _refuse(self, place: int, said: Refused) -> None:
        kept = _kept(self._sent[place], said, self._account_id, self._now)
        self.refused.append(kept)
        self._said[place] = Verdict(Outcome.REFUSED, said.reason, said.message, kept.id)


def _kept(event: SentEvent, said: Refused, account_id: UUID | None, now: datetime) -> RefusedEvent:
    """What is kept of an event that is refused: all of it, unless it is too large for that."""
    cut = {name: getattr(event, name)[:_MAX_KEPT_CHARACTERS] for name in ("id", "source", "type", "subject")}
    size = len(event.data) + sum(len(name) + len(value) for name, value in event.attributes.items())
    fits = size <= MAX_EVENT_BYTES and said.reason is not RefusalReason.TOO_LARGE
    kept = event._replace(**cut) if fits else event._replace(**cut, data="", attributes={})
    return RefusedEvent(
        id=UUID(bytes=refused_id(event)),
        event=kept,
        reason=said.reason,
        message=said.message,
        attempts=1,
        truncated=kept != event or isinstance(event, Malformed),
        account_id=account_id,
        create_time=now,
        update_time=now,
    )
