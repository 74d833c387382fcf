import hashlib
import hmac
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.base import Repository, columns_of, given
from storage.frame.records import AuditEntry, AuditKey
from storage.frame.tables import audit_entries

_ENTRY = ("create_time", "caller_id", "action", "resource", "address", "call_id", "result", "key_id", "mac")


class AuditRepository(Repository):
    """The record of what was changed, each entry signed as it is written."""

    def __init__(self, connection: AsyncConnection, key: AuditKey | None) -> None:
        super().__init__(connection)
        self._key = key

    async def record(self, entries: Sequence[AuditEntry]) -> None:
        """Writes entries into the record, in their order; they stand there once this transaction has committed."""
        if not entries:
            return
        if self._key is None:
            raise RuntimeError("this database was opened without a key to sign the record with")
        key = self._key
        statement = insert(audit_entries).from_select(list(_ENTRY), select(given(audit_entries, *_ENTRY)))
        rows = ((*_values(entry), key.id, mac_of(entry, key.secret)) for entry in entries)
        await self._connection.execute(statement, columns_of(_ENTRY, rows))


def mac_of(entry: AuditEntry, secret: bytes) -> bytes:
    """The entry's HMAC-SHA256: each field with its length before it, so that no two entries read alike."""
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    for value in _values(entry):
        content = value.isoformat().encode() if hasattr(value, "isoformat") else str(value).encode()
        mac.update(len(content).to_bytes(4))
        mac.update(content)
    return mac.digest()


def _values(entry: AuditEntry) -> tuple[object, ...]:
    return (
        entry.create_time,
        entry.caller_id,
        entry.action,
        entry.resource,
        entry.address,
        entry.call_id,
        entry.result,
    )
