import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.frame.retention import purge_in_batches
from server.identity.credentials.keys import KeyRing
from server.identity.errors import TooManyAttempts
from server.identity.rules import throttling as rules
from storage.identity.store import IdentityStore, IdentityTransaction


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was let through, and the keys that it is counted under."""

    keys: Sequence[bytes]
    shared: Sequence[bytes]
    """Those of the keys under which others' attempts count too, whatever account they are for."""


class Throttling:
    """How often something may be tried, counted in the database, for all servers together.

    An attempt is counted, and that committed, before it is made: however many come at once, and whatever dies, no more
    are made than the limits allow.
    """

    def __init__(self, store: IdentityStore, keys: KeyRing, now: Callable[[], datetime]) -> None:
        self._store = store
        self._keys = keys
        self._now = now

    async def ready(self) -> None:
        """To be awaited before a transaction that counts or clears: reading the key needs a connection of its own."""
        await self._limits(())

    async def begin(self, counters: Sequence[rules.Counter]) -> Attempt:
        """Counts an attempt by all of these; raises TooManyAttempts, and counts nothing, where one has to wait."""
        limits = await self._limits(counters)
        # Most of a flood is refused here, where nobody waits for a lock.
        async with self._store.reading() as reading:
            self._let_through(rules.verdict(await reading.attempts.read(limits.keys()), limits, self._now()))
        async with self._store.transaction() as tx:
            await self._count(tx, limits)
        shared = [key for key, counter in zip(limits, counters, strict=True) if counter.shared]
        return Attempt(tuple(limits), shared)

    async def try_count(self, tx: IdentityTransaction, counter: rules.Counter) -> bool:
        """Counts something that happens in this transaction; False where it has to wait, and counts nothing."""
        try:
            await self._count(tx, await self._limits([counter]))
        except TooManyAttempts:
            return False
        return True

    async def succeeded(self, tx: IdentityTransaction, attempt: Attempt) -> None:
        """That the attempt was no guess: what counts for the account alone is forgotten, it is taken off the rest."""
        counted = await tx.attempts.lock(attempt.keys, self._now())
        await tx.attempts.save([rules.decremented(counted[key]) for key in attempt.shared])
        await tx.attempts.clear([key for key in attempt.keys if key not in attempt.shared])

    async def withdraw(self, attempt: Attempt) -> None:
        """That the attempt was not made after all."""
        async with self._store.transaction() as tx:
            counted = await tx.attempts.lock(attempt.keys, self._now())
            await tx.attempts.save([rules.decremented(each) for each in counted.values()])

    async def clear(self, tx: IdentityTransaction, counters: Sequence[rules.Counter]) -> None:
        """Forgets what is counted by these."""
        keys = (await self._limits(counters)).keys()
        await tx.attempts.lock(keys, self._now())
        await tx.attempts.clear(keys)

    async def purge(self) -> None:
        """Forgets what was long not tried."""
        before = self._now() - rules.FORGOTTEN_AFTER
        await purge_in_batches(self._store, lambda tx, limit: tx.attempts.purge(before, limit))

    async def _count(self, tx: IdentityTransaction, limits: Mapping[bytes, rules.Limit]) -> None:
        counted = await tx.attempts.lock(limits.keys(), self._now())
        # Others' attempts may have been counted while this one waited for the lock.
        found = rules.verdict(counted, limits, self._now())
        self._let_through(found)
        await tx.attempts.save(found.counted)

    @staticmethod
    def _let_through(found: rules.Verdict) -> None:
        if found.wait > timedelta():
            raise TooManyAttempts(retry_after=found.wait.total_seconds())

    async def _limits(self, counters: Sequence[rules.Counter]) -> Mapping[bytes, rules.Limit]:
        """The limits by their counters' keys, in the counters' order."""
        secret = await self._keys.secret("attempts")
        return {hmac.digest(secret, each.name.encode(), hashlib.sha256): each.limit for each in counters}
