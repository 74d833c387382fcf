"""Audit entries for tests: written, sealed, and tampered with in the database."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from server.frame.module import now
from server.identity.rules.auditing import Verification
from server.identity.service import Auditing
from storage.database import Database
from storage.frame.records import NOBODY, AuditAnchor, AuditEntry, AuditEvent, AuditFilter, ChangeContext
from storage.store import FRAME
from tests.fixtures.keys import MASTER_KEYS

BEGAN = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)


def auditing_on(database: Database, **rest: Any) -> Auditing:
    return Auditing(database.store(FRAME), MASTER_KEYS.audit_keys, MASTER_KEYS.audit_key, now, **rest)


def entry(number: int = 0, **rest: Any) -> AuditEntry:
    """An entry of one caller, or with these fields."""
    ask = ChangeContext(
        uuid4(), f"backroom.test.v1.Test/Change{number % 5}", BEGAN + timedelta(seconds=number), "10.0.0.7"
    )
    values = {name: getattr(ask.entry(f"thing/{number}"), name) for name in AuditEntry.__dataclass_fields__}
    return AuditEntry(**{**values, "call_id": f"call-{number}", **rest})


async def recorded(database: Database, *entries: AuditEntry) -> None:
    """Writes entries, all in one transaction."""
    async with database.store(FRAME).transaction() as tx:
        await tx.audit.record(entries)


async def events(database: Database, **wanted: Any) -> Sequence[AuditEvent]:
    """The audit events, oldest first."""
    async with database.store(FRAME).reading() as tx:
        return (await tx.audit.list_latest(AuditFilter(**wanted), before=None, limit=10_000))[::-1]


async def verified(database: Database, *anchors: AuditAnchor, after: int = 0, limit: int = 100_000) -> Verification:
    return await auditing_on(database).verify(after, limit, anchors)


async def head(database: Database) -> AuditAnchor:
    async with database.store(FRAME).reading() as tx:
        found = await tx.audit_chain.head()
    assert found is not None
    return found


async def execute(database: Database, *statements: str, **values: object) -> None:
    """Changes the database like someone who controls it, but does not have the key."""
    async with database.store(FRAME).transaction() as tx:
        for statement in statements:
            await tx._connection.execute(text(statement), values)


def resources_of(found: Sequence[AuditEvent], caller_id: UUID | None = NOBODY) -> list[str]:
    return sorted(event.entry.resource for event in found if event.entry.caller_id == caller_id)
