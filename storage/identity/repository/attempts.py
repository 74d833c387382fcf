from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, select

from storage.base import Reader, Records, Repository, insert_json, json_parameter, update_json, values_getter
from storage.identity.records import Attempts
from storage.identity.tables.attempts import attempts

_ATTEMPTS = ("key", "count", "last_time")
_COUNTED = Records(Attempts)
_VALUES = values_getter(_ATTEMPTS)

_LOCK = (
    insert_json(attempts, *_ATTEMPTS)
    .on_conflict_do_update(index_elements=["key"], set_={"count": attempts.c.count})
    .returning(*attempts.c)
)
_SAVE = update_json(attempts, *_ATTEMPTS)


class AttemptReader(Reader):
    """How often something was tried, by a key of 32 bytes, which may change at once."""

    async def read(self, keys: Collection[bytes]) -> Mapping[bytes, Attempts]:
        """What is counted under these keys, which may change at once; a key that nothing is counted under is absent."""
        found = await self._connection.execute(select(attempts).where(attempts.c.key.in_(keys)))
        return {each.key: each for each in _COUNTED.all(found)}


class AttemptRepository(AttemptReader, Repository):
    """How often something was tried, by a key of 32 bytes."""

    async def lock(self, keys: Collection[bytes], now: datetime) -> Mapping[bytes, Attempts]:
        """What is counted under these keys, locked until the transaction ends; nothing counts as 0.

        The rows are locked in the keys' order, so that two transactions never wait for one another.
        """
        values = json_parameter(_ATTEMPTS, ((key, 0, now) for key in sorted(set(keys))))
        return {each.key: each for each in _COUNTED.all(await self._connection.execute(_LOCK, values))}

    async def save(self, counted: Sequence[Attempts]) -> None:
        """Writes what is counted; the keys are to be locked."""
        if not counted:
            return
        await self._connection.execute(_SAVE, json_parameter(_ATTEMPTS, map(_VALUES, counted)))

    async def clear(self, keys: Collection[bytes]) -> None:
        """Forgets what is counted under these keys, which are to be locked."""
        await self._connection.execute(delete(attempts).where(attempts.c.key.in_(keys)))

    async def purge(self, before: datetime, limit: int) -> int:
        """Forgets up to so many keys that nothing was tried under since, and returns how many those were."""
        return await self._delete_before(attempts.c.last_time, before, limit)
