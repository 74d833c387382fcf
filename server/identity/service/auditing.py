import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from server.frame.errors import FieldInvalid
from server.identity.rules import auditing as rules
from server.identity.rules.auditing import ANCHORED, BEGINNING, Fault, FaultKind, Verification, Verifier
from storage.frame.records import NOBODY, AuditAnchor, AuditEvent, AuditFilter, AuditKey, Event
from storage.store import FrameStore
from storage.transaction import Reading

_BATCH_SIZE = 500
"""How many events are sealed in one transaction, or read at once: so few that other calls do not wait for long."""

KeepAnchor = Callable[[AuditAnchor, datetime], Awaitable[None]]
"""Keeps an anchor outside of the database; returns once it is safe."""


class Auditing:
    """The record of who changed what, and the proof that it is whole."""

    def __init__(
        self,
        store: FrameStore,
        keys: Mapping[str, AuditKey],
        key: AuditKey,
        now: Callable[[], datetime],
        keep_anchor: KeepAnchor | None = None,
    ) -> None:
        """`keys` are all that the record may be signed with, and `key` is what is signed with from now on."""
        self._store = store
        self._keys = keys
        self._key = key
        self._now = now
        self._keep_anchor = keep_anchor

    async def list_latest(
        self, wanted: AuditFilter, *, before: tuple[datetime, int] | None, limit: int
    ) -> Sequence[AuditEvent]:
        async with self._store.reading() as reading:
            return await reading.audit.list_latest(wanted, before=before, limit=limit)

    async def seal(self) -> int:
        """Seals what is not sealed yet, batch by batch, and returns how many events those were.

        Of several at a time, one does it, and for the others there is nothing to do.
        """
        sealed = 0
        while True:
            count = await self._seal_some()
            sealed += count
            if count < _BATCH_SIZE:  # what came meanwhile follows the next time
                return sealed

    async def anchor(self) -> bool:
        """Keeps the end of the chain outside of the database, and returns it; False where that was done before."""
        before = self._store.primaries_seen
        async with self._store.reading() as reading:
            head, known = await reading.audit_chain.head(), await reading.audit_chain.anchored()
        if head is None or (known is not None and known.position >= head.position):
            return False
        await self._store.wait_for_standby(before)  # a place that a promotion undid would be missed for ever
        now = self._now()
        if self._keep_anchor is not None:
            await self._keep_anchor(head, now)
        async with self._store.transaction() as tx:
            new = await tx.audit_chain.add_anchor(head)
            if new:
                data = json.dumps({"position": head.position, "hash": head.hash.hex()})
                await tx.events.publish([Event(ANCHORED, NOBODY, data, now)])
        return new

    async def verify(self, after: int, limit: int, anchors: Sequence[AuditAnchor]) -> Verification:
        """Checks up to so many places behind one, and what the chain must contain; raises FieldInvalid.

        It also looks for entries that are missing from the chain; where the chain ends there, for those too
        that wait to be sealed and were written by another hand.
        """
        async with self._store.reading() as reading:
            begin = await _begin(reading, after)
            if begin is None:
                return Verification(0, AuditAnchor(after, b""), False, Fault(FaultKind.BROKEN, after, 0))
            last, since = begin
            verifier = Verifier(self._keys, last, {anchor.position: anchor.hash for anchor in anchors})
            fault = await _differing(reading, [anchor for anchor in anchors if anchor.position <= after])
            ended = False
            while fault is None and not ended and verifier.verified < limit:
                links = await reading.audit_chain.read(after=verifier.last.position, limit=_left(verifier, limit))
                ended = not links
                fault = verifier.follow(links)
            ended = fault is None and (
                ended or not await reading.audit_chain.read(after=verifier.last.position, limit=1)
            )
            fault = await _fault_outside_chain(reading, after, since, verifier) or fault
            if ended and fault is None:
                fault = verifier.beyond() or await _behind(reading, verifier, limit)
        return Verification(verifier.verified, verifier.last, ended and fault is None, fault)

    async def _seal_some(self) -> int:
        async with self._store.transaction() as tx:
            if not await tx.audit_chain.try_lock():
                return 0
            waiting = await _waiting(tx)
            head = await tx.audit_chain.head() or BEGINNING
            await tx.audit_chain.add(rules.sealed(waiting, head, self._key, self._now))
        return len(waiting)


async def _begin(reading: Reading, after: int) -> tuple[AuditAnchor, tuple[int, int] | None] | None:
    """The place behind which to begin, and its event's key; None where the place is gone."""
    if after == 0:
        return BEGINNING, None
    links = await reading.audit_chain.read(after=after - 1, limit=1)
    if not links:
        raise FieldInvalid.of("after_position", "is past the end of the chain")
    seal, event = links[0].seal, links[0].event
    return (AuditAnchor(after, seal.hash), event.key if event else None) if seal.position == after else None


async def _waiting(reading: Reading) -> Sequence[AuditEvent]:
    """What is to be sealed next, in its order."""
    horizon = await reading.audit_chain.horizon()
    if horizon is not None and await reading.audit.is_of_earlier_count(horizon[0]):
        # The database was restored into another one: what that writes has lower numbers than what is sealed.
        return await reading.audit.list_unsealed_before_restore(limit=_BATCH_SIZE) or await reading.audit.list_waiting(
            after=None, limit=_BATCH_SIZE
        )
    return await reading.audit.list_waiting(after=horizon, limit=_BATCH_SIZE)


async def _differing(reading: Reading, anchors: Sequence[AuditAnchor]) -> Fault | None:
    """The first of some anchors that the chain does not contain."""
    for anchor in sorted(anchors, key=lambda anchor: anchor.position):
        seal = await reading.audit_chain.find(anchor.position)
        if seal is None:
            head = await reading.audit_chain.head() or BEGINNING
            return Fault(FaultKind.MISSING, min(head.position + 1, anchor.position), 0)
        if seal.hash != anchor.hash:
            return Fault(FaultKind.BROKEN, anchor.position, seal.sequence)
    return None


async def _fault_outside_chain(
    reading: Reading, after: int, since: tuple[int, int] | None, verifier: Verifier
) -> Fault | None:
    """The first of the checked entries that is in the chain twice, or is missing from it."""
    copy = await reading.audit_chain.find_copy(after=after, until=verifier.last.position)
    if copy is not None:
        return Fault(FaultKind.FOREIGN, copy.position, copy.sequence)
    until = verifier.reached
    if until is None or await reading.audit.is_of_earlier_count(until[0]):
        return None
    # In a database that was restored, the numbers restart somewhere.
    astray = await reading.audit_chain.find_unsealed(since if since and since < until else None, until)
    return Fault(FaultKind.FOREIGN, 0, astray.sequence) if astray else None


async def _behind(reading: Reading, verifier: Verifier, limit: int) -> Fault | None:
    """What is wrong where the chain ends: it was anchored further, or not all that waits was written by a server."""
    known = await reading.audit_chain.anchored()
    if known is not None and (fault := await _differing(reading, [known])):
        return fault
    after, checked = await reading.audit_chain.horizon(), 0
    if after is not None and await reading.audit.is_of_earlier_count(after[0]):
        return None
    if ahead := await reading.audit.list_unsealed_before_restore(limit=1):
        return Fault(FaultKind.FOREIGN, 0, ahead[0].sequence)
    while checked < limit and (
        events := await reading.audit.list_waiting(after=after, limit=min(_BATCH_SIZE, limit - checked))
    ):
        if fault := verifier.written(events):
            return fault
        checked += len(events)
        after = events[-1].key
    return None


def _left(verifier: Verifier, limit: int) -> int:
    return min(_BATCH_SIZE, limit - verifier.verified)
