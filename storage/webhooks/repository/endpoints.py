from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import LargeBinary, delete, exists, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Records, Repository, column_names, row_maker
from storage.webhooks.records import Endpoint, EndpointSecret, EndpointState
from storage.webhooks.repository.conditions import is_due
from storage.webhooks.tables import deliveries, endpoint_secrets, endpoints

_CREATING = 0x626B726D_00000001
"""The advisory lock of whoever counts endpoints to add one."""

_CHANGEABLE = (
    "url",
    "description",
    "event_types",
    "state",
    "disabled_reason",
    "failing_since",
    "version",
    "update_time",
    "granted_by",
)
_SECRET = column_names(endpoint_secrets)

_ENDPOINTS = Records(Endpoint, state=EndpointState, event_types=tuple)
_SECRETS = Records(EndpointSecret)
_NEW = row_maker(("id", *_CHANGEABLE, "create_time", "created_by"))
_CHANGED = row_maker(_CHANGEABLE)
_NEW_SECRET = row_maker(_SECRET)


class EndpointReader(Reader):
    """Where to send to, and what is signed with."""

    async def find(self, endpoint_id: UUID) -> Endpoint | None:
        return _ENDPOINTS.first(await self._connection.execute(select(endpoints).where(endpoints.c.id == endpoint_id)))

    async def list_latest(self, *, before: tuple[datetime, UUID] | None, limit: int) -> Sequence[Endpoint]:
        """Endpoints from the latest on, starting below a key of (create_time, id)."""
        statement = select(endpoints)
        if before is not None:
            statement = statement.where(tuple_(endpoints.c.create_time, endpoints.c.id) < before)
        statement = statement.order_by(endpoints.c.create_time.desc(), endpoints.c.id.desc()).limit(limit)
        return _ENDPOINTS.all(await self._connection.execute(statement))

    async def find_secret(self, endpoint_id: UUID, generation: int) -> EndpointSecret | None:
        key = (endpoint_secrets.c.endpoint_id == endpoint_id) & (endpoint_secrets.c.generation == generation)
        return _SECRETS.first(await self._connection.execute(select(endpoint_secrets).where(key)))

    async def live_secrets(self, endpoint_id: UUID, now: datetime) -> Sequence[EndpointSecret]:
        """What an endpoint's requests are signed with at a time, the newest secret first."""
        live = endpoint_secrets.c.end_time.is_(None) | (endpoint_secrets.c.end_time > now)
        statement = select(endpoint_secrets).where(endpoint_secrets.c.endpoint_id == endpoint_id, live)
        found = await self._connection.execute(statement.order_by(endpoint_secrets.c.generation.desc()))
        return _SECRETS.all(found)


class EndpointRepository(EndpointReader, Repository):
    """Where to send to, and what is signed with.

    Whoever changes an endpoint, or the deliveries of one, locks it first, so that these need no locks of their own.
    """

    async def add(self, endpoint: Endpoint) -> None:
        await self._connection.execute(insert(endpoints).values(_NEW(endpoint)))

    async def count(self) -> int:
        """How many there are; until this transaction ends, nobody else who counts adds one."""
        await self._connection.execute(select(func.pg_advisory_xact_lock(_CREATING)))
        return (await self._connection.execute(select(func.count()).select_from(endpoints))).scalar_one()

    async def lock(self, endpoint_id: UUID) -> Endpoint | None:
        """The endpoint, locked until the transaction ends."""
        statement = select(endpoints).where(endpoints.c.id == endpoint_id).with_for_update(key_share=True)
        return _ENDPOINTS.first(await self._connection.execute(statement))

    async def lock_due(self, now: datetime) -> Sequence[Endpoint]:
        """The enabled endpoints that a delivery is due for, locked; not those that others have locked."""
        mine = deliveries.c.endpoint_id == endpoints.c.id
        statement = select(endpoints).where(endpoints.c.state == EndpointState.ENABLED)
        statement = statement.where(exists().where(mine & is_due(now))).order_by(endpoints.c.id)
        locking = statement.with_for_update(key_share=True, skip_locked=True)
        return _ENDPOINTS.all(await self._connection.execute(locking))

    async def share_enabled(self) -> Sequence[Endpoint]:
        """The enabled endpoints, which nobody changes until the transaction ends."""
        statement = select(endpoints).where(endpoints.c.state == EndpointState.ENABLED).order_by(endpoints.c.id)
        found = await self._connection.execute(statement.with_for_update(read=True))
        return _ENDPOINTS.all(found)

    async def change(self, changed: Endpoint) -> None:
        """Stores the new values of an endpoint that was locked in this transaction."""
        statement = update(endpoints).where(endpoints.c.id == changed.id)
        await self._connection.execute(statement.values(_CHANGED(changed)))

    async def disable_all(self, reason: str, now: datetime) -> int:
        """Disables all endpoints, and returns how many were enabled."""
        enabled = endpoints.c.state == EndpointState.ENABLED
        values = {"state": EndpointState.DISABLED, "disabled_reason": reason, "update_time": now}
        statement = update(endpoints).where(enabled).values(values).values(version=endpoints.c.version + 1)
        return (await self._connection.execute(statement)).rowcount

    async def delete(self, endpoint_id: UUID) -> bool:
        """Deletes an endpoint with its secrets and deliveries; False where there is none."""
        result = await self._connection.execute(delete(endpoints).where(endpoints.c.id == endpoint_id))
        return result.rowcount == 1

    async def add_secret(self, secret: EndpointSecret) -> None:
        await self._connection.execute(insert(endpoint_secrets).values(_NEW_SECRET(secret)))

    async def end_secret(self, endpoint_id: UUID, end_time: datetime) -> int:
        """Says from when on the newest secret is not signed with, and returns its generation."""
        newest = (endpoint_secrets.c.endpoint_id == endpoint_id) & endpoint_secrets.c.end_time.is_(None)
        statement = update(endpoint_secrets).where(newest).values(end_time=end_time)
        found = await self._connection.execute(statement.returning(endpoint_secrets.c.generation))
        return int(found.scalar_one())

    async def list_to_seal(self, mark: bytes, limit: int) -> Sequence[EndpointSecret]:
        """Up to so many secrets that do not begin with this mark of a seal, or stand in the clear."""
        marked = func.substr(endpoint_secrets.c.secret, 1, len(mark), type_=LargeBinary) == mark
        statement = select(endpoint_secrets).where(~endpoint_secrets.c.sealed | ~marked).limit(limit)
        found = await self._connection.execute(statement.with_for_update(key_share=True))
        return _SECRETS.all(found)

    async def seal_secret(self, endpoint_id: UUID, generation: int, secret: bytes) -> None:
        """Replaces a secret by the same, sealed."""
        key = (endpoint_secrets.c.endpoint_id == endpoint_id) & (endpoint_secrets.c.generation == generation)
        statement = update(endpoint_secrets).where(key).values(secret=secret, sealed=True)
        await self._connection.execute(statement)

    async def purge_secrets(self, *, ended_before: datetime, created_before: datetime) -> int:
        """Forgets secrets that ended and were made before two times, and returns how many that were."""
        old = (endpoint_secrets.c.end_time < ended_before) & (endpoint_secrets.c.create_time < created_before)
        return (await self._connection.execute(delete(endpoint_secrets).where(old))).rowcount
