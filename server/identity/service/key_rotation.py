from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.frame.sealing import MasterKeys
from server.identity.credentials.keys import completed, new_key, resealed
from server.identity.rules import keys as rules
from storage.frame.records import ChangeContext
from storage.identity.records import Key, KeyUse
from storage.identity.store import IdentityStore, IdentityTransaction


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key, and what it is good for now."""

    key: Key
    state: rules.KeyState
    end_time: datetime | None
    """From when on nothing that it made is taken, so far as that is known."""
    resealing_due: bool
    """Whether it is sealed by a master key that is to go."""


class KeyRotation:
    """How the keys that sign and derive are changed in turn."""

    def __init__(self, store: IdentityStore, master_keys: MasterKeys, now: Callable[[], datetime]) -> None:
        self._store = store
        self._master_keys = master_keys
        self._now = now

    async def list_all(self) -> Sequence[ListedKey]:
        """In the order in which they become active."""
        async with self._store.reading() as reading:
            return self._listed(rules.trusted(await reading.keys.list_all()))

    async def rotate(self, activate_after: timedelta, context: ChangeContext) -> Sequence[Key]:
        """Makes a new key for each use, seals the others by the first master key, and destroys those done with.

        The new ones are published at once, and used after `activate_after`, which is 2 s at least. Raises
        MasterKeyWrong.
        """
        now = self._now()
        activate_time = now + max(activate_after, rules.SOONEST)
        async with self._store.transaction() as tx:
            kept = await completed(tx, self._master_keys, now)
            made = [new_key(use, self._master_keys, now, activate_time) for use in KeyUse]
            for key in made:
                await tx.keys.add(key)
            await tx.keys.remove([key.id for key in rules.disposable([*kept, *made], now)])
            await self._reseal(tx)
            await tx.audit.record([context.entry(f"signing-key/{key.id}") for key in made])
        return made

    async def revoke(self, key_id: str, context: ChangeContext) -> Sequence[Key]:
        """Has nothing that a key made taken any more, on every server within a second; raises KeyNotFound.

        Where it was the active one, another takes its place at once, and is returned. Revoking one that was revoked
        changes nothing.
        """
        now = self._now()
        async with self._store.transaction() as tx:
            kept = await completed(tx, self._master_keys, now)
            key = rules.existing(kept, key_id)
            if key.revoke_time is not None:
                return []
            made = []
            if rules.active(kept, key.use, now) == key:
                made.append(new_key(key.use, self._master_keys, now, now))
                await tx.keys.add(made[0])
            await tx.keys.revoke(key_id, now)
            await tx.access_changes.add(None, now)
            await tx.audit.record([context.entry(f"signing-key/{each.id}") for each in (key, *made)])
        return made

    async def _reseal(self, tx: IdentityTransaction) -> None:
        for key in rules.trusted(await tx.keys.list_all()):
            material = resealed(key, self._master_keys)
            if material is not None:
                await tx.keys.seal(key.id, material)

    def _listed(self, kept: Sequence[Key]) -> Sequence[ListedKey]:
        now = self._now()
        return [
            ListedKey(
                key,
                rules.state(key, kept, now),
                rules.end_time(key, kept),
                not (key.sealed and self._master_keys.sealed_by_first(key.material)),
            )
            for key in kept
        ]
