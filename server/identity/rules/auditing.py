"""What the chain that seals the record must hold to, and the first place where it does not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from server.frame.events import EventType
from storage.frame.records import AuditAnchor, AuditEvent, AuditKey, AuditLink, AuditSeal
from storage.frame.signing import START, hash_of, mac_of

ANCHORED = "audit.anchored"
EVENT_TYPES: Mapping[str, EventType] = {
    ANCHORED: EventType(
        "The record of changes was sealed up to a place; whoever keeps its hash can prove that nothing was cut.",
        ("audit.read",),
    ),
}
"""The events that this module adds to the log."""

BEGINNING = AuditAnchor(0, START)
"""Where the chain begins."""

DEFAULT_LIMIT = 10_000
MAX_VERIFIED = 100_000


class FaultKind(Enum):
    """What is wrong with the record; the contract's comments say more."""

    ALTERED = "the event is not what was written"
    MISSING = "the event is gone, or the chain ends before the anchor"
    FOREIGN = "the event was not written by a server, or stands in the chain twice, or should stand there and does not"
    BROKEN = "the chain does not follow from what stands before it"


@dataclass(frozen=True, slots=True)
class Fault:
    """The first entry at which the record is not what was written."""

    kind: FaultKind
    position: int
    """0 where the event stands in no place of the chain."""
    sequence: int
    """0 where it is not known."""


@dataclass(frozen=True, slots=True)
class Verification:
    """How the record stands, as far as it was checked."""

    verified: int
    last: AuditAnchor
    """The last place that was checked and found whole."""
    complete: bool
    """Whether the chain ends there."""
    fault: Fault | None


def limit_of(asked: int) -> int:
    """How many events to check in one call."""
    return min(asked or DEFAULT_LIMIT, MAX_VERIFIED)


def sealed(
    events: Sequence[AuditEvent], head: AuditAnchor, key: AuditKey, now: Callable[[], datetime]
) -> Sequence[AuditSeal]:
    """The chain's next places, behind its head."""
    seals: list[AuditSeal] = []
    last, time = head.hash, now()
    for position, event in enumerate(events, start=head.position + 1):
        last = hash_of(last, AuditSeal(position, event.sequence, b"", key.id, time), event, key.secret)
        seals.append(AuditSeal(position, event.sequence, last, key.id, time))
    return seals


class Verifier:
    """Follows the chain from one place to the next."""

    def __init__(self, keys: Mapping[str, AuditKey], begin: AuditAnchor, anchors: Mapping[int, bytes]) -> None:
        """`anchors` are the hashes that the chain must have, by their places."""
        self._keys = keys
        self._anchors = anchors
        self.last = begin
        self.reached: tuple[int, int] | None = None
        """The (transaction, sequence) of the last event, by which the chain is ordered."""
        self.verified = 0

    def follow(self, links: Sequence[AuditLink]) -> Fault | None:
        """The first fault of the places that come next."""
        for link in links:
            fault = self._check(link)
            if fault is not None:
                return fault
            self.last = AuditAnchor(link.seal.position, link.seal.hash)
            self.reached = link.event.key if link.event else None
            self.verified += 1
        return None

    def written(self, events: Sequence[AuditEvent]) -> Fault | None:
        """The first of the events that are not sealed yet that no server wrote."""
        foreign = (event for event in events if not self._signed(event))
        return next((Fault(FaultKind.FOREIGN, 0, event.sequence) for event in foreign), None)

    def beyond(self) -> Fault | None:
        """Whether the chain, which ends here, should go on."""
        cut = any(position > self.last.position for position in self._anchors)
        return Fault(FaultKind.MISSING, self.last.position + 1, 0) if cut else None

    def _check(self, link: AuditLink) -> Fault | None:
        seal, event = link.seal, link.event
        if seal.position != self.last.position + 1:
            return Fault(FaultKind.BROKEN, self.last.position + 1, 0)
        if event is None:
            return Fault(FaultKind.MISSING, seal.position, seal.sequence)
        key = self._keys.get(seal.key_id)
        follows = key is not None and hash_of(self.last.hash, seal, event, key.secret) == seal.hash
        if not self._signed(event):
            # Where the chain fits all the same, it was already so when it was sealed.
            return Fault(FaultKind.FOREIGN if follows else FaultKind.ALTERED, seal.position, seal.sequence)
        if not follows or self._anchors.get(seal.position, seal.hash) != seal.hash:
            return Fault(FaultKind.BROKEN, seal.position, seal.sequence)
        return None

    def _signed(self, event: AuditEvent) -> bool:
        key = self._keys.get(event.key_id)
        return key is not None and mac_of(event.entry, key.secret) == event.mac
