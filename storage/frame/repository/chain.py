from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Records, Repository, insert_json, json_parameter, values_getter
from storage.frame.records import AuditAnchor, AuditEvent, AuditLink, AuditSeal
from storage.frame.repository.audit import EVENT, KEY, TRANSACTION, events_of, key_of, unsealed
from storage.frame.tables import audit_anchors, audit_entries, audit_seals

_SEALING = 0x626B726D_00000010
"""The advisory lock of whoever seals the record."""

_MINE = audit_entries.c.sequence == audit_seals.c.sequence
"""Which event a place is of."""
_SEAL = ("position", "sequence", "hash", "key_id", "create_time")
_VALUES = values_getter(_SEAL)
_SEALS = Records(AuditSeal)
_SEALS_BESIDE = Records(AuditSeal, **{name: f"seal_{name}" for name in _SEAL})
_ANCHORS = Records(AuditAnchor)
_ADD = insert_json(audit_seals, *_SEAL)


class AuditChainReader(Reader):
    """The places of the chain that seals the record."""

    async def head(self) -> AuditAnchor | None:
        """Where the chain ends; None where there is none yet."""
        statement = select(audit_seals.c.position, audit_seals.c.hash).order_by(audit_seals.c.position.desc()).limit(1)
        return _ANCHORS.first(await self._connection.execute(statement))

    async def horizon(self) -> tuple[int, int] | None:
        """Up to which (transaction, sequence) all is sealed that there will ever be; None before the first."""
        statement = select(TRANSACTION, audit_entries.c.sequence).join_from(audit_seals, audit_entries, _MINE)
        row = (await self._connection.execute(statement.order_by(audit_seals.c.position.desc()).limit(1))).first()
        return (row[0], row[1]) if row else None

    async def find(self, position: int) -> AuditSeal | None:
        statement = select(audit_seals).where(audit_seals.c.position == position)
        return _SEALS.first(await self._connection.execute(statement))

    async def read(self, *, after: int, limit: int) -> Sequence[AuditLink]:
        """The places behind a position, in their order, each with its event where that is there."""
        place = (audit_seals.c[name].label(f"seal_{name}") for name in _SEAL)
        statement = select(*place, *EVENT).join_from(audit_seals, audit_entries, _MINE, isouter=True)
        if after:  # a place before the first is none, and is to be seen
            statement = statement.where(audit_seals.c.position > after)
        statement = statement.order_by(audit_seals.c.position).limit(limit)
        rows = (await self._connection.execute(statement)).all()
        there = (row for row in rows if row.sequence is not None)
        found = events_of(there, position=lambda row: row.seal_position, hash=lambda row: row.seal_hash)
        events = {event.position: event for event in found}
        return [AuditLink(seal, events.get(seal.position)) for seal in _SEALS_BESIDE.all(rows)]

    async def find_unsealed(self, since: tuple[int, int] | None, until: tuple[int, int]) -> AuditEvent | None:
        """The first event between two keys of (transaction, sequence) that stands in no place of the chain."""
        statement = unsealed().where(tuple_(*KEY) <= key_of(until))
        if since is not None:
            statement = statement.where(tuple_(*KEY) > key_of(since))
        found = events_of(await self._connection.execute(statement.order_by(*KEY).limit(1)))
        return next(iter(found), None)

    async def find_copy(self, *, after: int, until: int) -> AuditEvent | None:
        """The first event between two places that is the same as one at an earlier place."""
        entries, seals = audit_entries.alias("first_entries"), audit_seals.alias("first_seals")
        earlier = entries.c.id == audit_entries.c.id
        first = select(seals.c.position).join_from(entries, seals, entries.c.sequence == seals.c.sequence)
        stands_before = first.where(earlier, seals.c.position < audit_seals.c.position).exists()
        statement: Select[Any] = select(*EVENT, audit_seals.c.position).join_from(audit_seals, audit_entries, _MINE)
        here = (audit_seals.c.position > after) & (audit_seals.c.position <= until)
        statement = statement.where(here, stands_before).order_by(audit_seals.c.position).limit(1)
        found = events_of(await self._connection.execute(statement), position=lambda row: row.position)
        return next(iter(found), None)

    async def anchored(self) -> AuditAnchor | None:
        """Where the chain ended when it was last anchored."""
        statement = select(audit_anchors).order_by(audit_anchors.c.position.desc()).limit(1)
        return _ANCHORS.first(await self._connection.execute(statement))


class AuditChainRepository(AuditChainReader, Repository):
    """The chain that seals the record, in the order in which transactions ended."""

    async def try_lock(self) -> bool:
        """Whether this transaction, and no other until it ends, seals."""
        return bool((await self._connection.execute(select(func.pg_try_advisory_xact_lock(_SEALING)))).scalar_one())

    async def add(self, seals: Sequence[AuditSeal]) -> None:
        """Appends places to the chain."""
        if not seals:
            return
        await self._connection.execute(_ADD, json_parameter(_SEAL, map(_VALUES, seals)))

    async def add_anchor(self, anchor: AuditAnchor) -> bool:
        """Keeps that the chain was anchored; False where that was done before."""
        values = {"position": anchor.position, "hash": anchor.hash, "create_time": func.now()}
        statement = insert(audit_anchors).values(values).on_conflict_do_nothing()
        return (await self._connection.execute(statement.returning(audit_anchors.c.position))).first() is not None
