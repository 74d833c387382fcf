from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, Text, cast, exists, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.base import AnyRow, Reader, Records, Repository, TransactionId, insert_json, json_parameter, values_getter
from storage.frame.records import AuditEntry, AuditEvent, AuditFilter, AuditKey
from storage.frame.signing import mac_of
from storage.frame.tables import audit_entries, audit_seals

_ENTRY = ("create_time", "caller_id", "action", "resource", "address", "call_id", "result", "id", "key_id", "mac")
_VALUES = values_getter(_ENTRY[:8])
_EVENTS = Records(
    AuditEvent, transaction_id="transaction", entry=(AuditEntry, *(field.name for field in fields(AuditEntry)))
)
_UNSEALED: Mapping[str, Callable[[AnyRow], object]] = {"position": lambda _: 0, "hash": lambda _: b""}
_RECORD = insert_json(audit_entries, *_ENTRY)
KEY = (audit_entries.c.transaction_id, audit_entries.c.sequence)
"""The order of the chain."""

TRANSACTION = cast(cast(audit_entries.c.transaction_id, Text), BigInteger)
"""The number of the transaction that wrote an entry."""
EVENT = (audit_entries.c.sequence, TRANSACTION.label("transaction"), *(audit_entries.c[name] for name in _ENTRY))
"""What an event is read from."""


class AuditReader(Reader):
    """What the record says of changes."""

    async def list_latest(
        self, wanted: AuditFilter, *, before: tuple[datetime, int] | None, limit: int
    ) -> Sequence[AuditEvent]:
        """Events from the latest on, starting below a key of (create_time, sequence)."""
        key = (audit_entries.c.create_time, audit_entries.c.sequence)
        seals = audit_seals.c.sequence == audit_entries.c.sequence
        statement: Select[Any] = select(*EVENT, audit_seals.c.position, audit_seals.c.hash)
        statement = statement.join_from(audit_entries, audit_seals, seals, isouter=True).where(*_conditions(wanted))
        if before is not None:
            statement = statement.where(tuple_(*key) < before)
        statement = statement.order_by(*(column.desc() for column in key)).limit(limit)
        found = await self._connection.execute(statement)
        return events_of(found, position=lambda row: row.position or 0, hash=lambda row: row.hash or b"")

    async def list_waiting(self, *, after: tuple[int, int] | None, limit: int) -> Sequence[AuditEvent]:
        """What is to be sealed next, behind a key of (transaction, sequence), in the order of the chain.

        Only what transactions wrote before which no other can end any more: whatever commits later has a higher key.
        """
        ended = audit_entries.c.transaction_id < func.pg_snapshot_xmin(func.pg_current_snapshot())
        statement = unsealed().where(ended)
        if after is not None:
            statement = statement.where(tuple_(*KEY) > key_of(after))
        return await self._in_order(statement, limit)

    async def list_unsealed_before_restore(self, *, limit: int) -> Sequence[AuditEvent]:
        """What is not sealed, of a database that was restored and counts its transactions anew since."""
        unknown = audit_entries.c.transaction_id >= func.pg_snapshot_xmax(func.pg_current_snapshot())
        return await self._in_order(unsealed().where(unknown), limit)

    async def is_of_earlier_count(self, transaction: int) -> bool:
        """Whether this transaction is one that the database has not come to yet, and so is of an earlier count."""
        unknown = _number(transaction) >= func.pg_snapshot_xmax(func.pg_current_snapshot())
        return bool((await self._connection.execute(select(unknown))).scalar_one())

    async def _in_order(self, statement: Select[Any], limit: int) -> Sequence[AuditEvent]:
        statement = statement.order_by(*KEY).limit(limit)
        return events_of(await self._connection.execute(statement))


class AuditRepository(AuditReader, Repository):
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
        rows = ((*_VALUES(entry), key.id, mac_of(entry, key.secret)) for entry in entries)
        await self._connection.execute(_RECORD, json_parameter(_ENTRY, rows))


def events_of(rows: Iterable[AnyRow], **sealed: Callable[[AnyRow], object]) -> Sequence[AuditEvent]:
    """The events that one statement found; `sealed` says where in a row its `position` and its `hash` are."""
    return _EVENTS.all(rows, **{**_UNSEALED, **sealed})


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    column = audit_entries.c
    exact: dict[str, UUID | str | None] = {
        "caller_id": wanted.caller_id,
        "action": wanted.action,
        "resource": wanted.resource,
        "result": wanted.result,
    }
    found = [column[name] == value for name, value in exact.items() if value is not None]
    if wanted.result not in (None, "OK"):
        found.append(column.result != literal("OK", literal_execute=True))  # by which its index is found
    if wanted.start_time is not None:
        found.append(column.create_time >= wanted.start_time)
    if wanted.end_time is not None:
        found.append(column.create_time < wanted.end_time)
    return found


def unsealed() -> Select[Any]:
    """The events that stand in no place of the chain."""
    return select(*EVENT).where(~exists().where(audit_seals.c.sequence == audit_entries.c.sequence))


def key_of(key: tuple[int, int]) -> ColumnElement[Any]:
    """A (transaction, sequence) as PostgreSQL compares it."""
    return tuple_(_number(key[0]), literal(key[1], BigInteger))


def _number(transaction: int) -> ColumnElement[str]:
    return cast(literal(str(transaction), Text), TransactionId())
