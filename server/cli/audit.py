"""The record of who changed what, as an operator reads it and proves it."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from uuid import UUID

from rich.console import Console

from server import settings
from server.cli.document import print_document
from server.frame.module import now
from server.frame.sealing import MasterKeys
from server.identity.rules.auditing import Fault, Verification
from server.identity.service import Auditing
from server.identity.service.anchoring import AnchorFile, AnchorsMalformed
from server.process.data_dir.master_key import master_keys
from server.process.database import migrated_database
from server.process.failure import Failure
from storage.database import Database
from storage.frame.records import NOBODY, AuditAnchor, AuditEvent, AuditFilter
from storage.store import FRAME

_AT_ONCE = 10_000
_SAY_EVERY = 100_000
_ANCHOR = re.compile(r"([1-9][0-9]{0,18}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for, as it was typed."""

    caller: str | None
    action: str | None
    resource: str | None
    result: str | None
    first: date | None
    last: date | None


def verify_audit(anchor_file: Path | None, anchor: str | None) -> None:
    """Says where the record ends, to be kept as an anchor; fails with one line that names the first fault."""
    anchors = [*_anchors_of(anchor_file), *([_anchor(anchor)] if anchor is not None else [])]
    console = Console(highlight=False, soft_wrap=True)
    verified, found = asyncio.run(_verified(anchors, console))
    if found.fault is not None:
        raise Failure(f"the record is not whole: {described(found.fault)}")
    console.print(f"the record is whole: {verified:,} events, {len(anchors):,} anchors")
    if found.last.position:
        console.print(f"it ends at {found.last.position}:{found.last.hash.hex()}")


def list_audit(wanted: Wanted, limit: int, *, as_json: bool = False) -> None:
    """Prints a line an event, the latest last, for a person to read and for others to search."""
    events = list(reversed(asyncio.run(_listed(_filter(wanted), limit))))
    if as_json:
        print_document({"events": [_as_document(event) for event in events]})
        return
    for event in events:
        entry = event.entry
        when = entry.create_time.astimezone(UTC).isoformat(timespec="milliseconds")
        who = "nobody" if entry.caller_id == NOBODY else str(entry.caller_id)
        place = f"sealed at {event.position}" if event.position else "not sealed yet"
        what = (entry.result, entry.action, entry.resource, f"by {who}", entry.address, entry.call_id, place)
        print(event.sequence, when, *filter(None, what), sep="  ")


def _as_document(event: AuditEvent) -> Mapping[str, object]:
    entry = event.entry
    return {
        "sequence": event.sequence,
        "create_time": entry.create_time,
        "caller_id": None if entry.caller_id == NOBODY else str(entry.caller_id),
        "action": entry.action,
        "resource": entry.resource or None,
        "result": entry.result,
        "address": entry.address or None,
        "call_id": entry.call_id or None,
        "position": event.position or None,
    }


async def verified_whole(database: Database, keys: MasterKeys) -> tuple[int, Fault | None]:
    """How many events were found whole, and the first fault."""
    verified, found = await _followed(_auditing(database, keys), (), lambda _: None)
    return verified, found.fault


def described(fault: Fault) -> str:
    """Which entry, and what is the matter with it."""
    place = f"position {fault.position:,}" if fault.position else "no position"
    event = f"event {fault.sequence:,}" if fault.sequence else "event unknown"
    return f"{place}, {event}: {fault.kind.value}"


async def _verified(anchors: Sequence[AuditAnchor], console: Console) -> tuple[int, Verification]:
    configured = settings.read()
    keys = master_keys(configured)

    def tell(verified: int) -> None:
        if verified % _SAY_EVERY == 0:
            console.print(f"verified: {verified:,}")

    async with migrated_database(configured) as database:
        return await _followed(_auditing(database, keys), anchors, tell)


async def _followed(
    auditing: Auditing, anchors: Sequence[AuditAnchor], tell: Callable[[int], None]
) -> tuple[int, Verification]:
    """Follows the chain from its first place to its last, or to the first fault."""
    verified, after = 0, 0
    while True:
        found = await auditing.verify(after, _AT_ONCE, anchors)
        verified += found.verified
        if found.complete or found.fault is not None:
            return verified, found
        after = found.last.position
        tell(verified)


async def _listed(wanted: AuditFilter, limit: int) -> Sequence[AuditEvent]:
    async with migrated_database(settings.read()) as database, database.store(FRAME).reading() as reading:
        return await reading.audit.list_latest(wanted, before=None, limit=limit)


def _auditing(database: Database, keys: MasterKeys) -> Auditing:
    return Auditing(database.store(FRAME), keys.audit_keys, keys.audit_key, now)


def _filter(wanted: Wanted) -> AuditFilter:
    try:
        caller = UUID(wanted.caller) if wanted.caller else None
    except ValueError:
        raise Failure(f"--caller: {wanted.caller!r} is no account's id") from None
    until = wanted.last + timedelta(days=1) if wanted.last else None
    return AuditFilter(caller, wanted.action, wanted.resource, wanted.result, _begin(wanted.first), _begin(until))


def _begin(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None


def _anchors_of(path: Path | None) -> Sequence[AuditAnchor]:
    if path is None:
        return ()
    try:
        return AnchorFile(path).read()
    except (OSError, UnicodeDecodeError):
        raise Failure(f"--anchor-file: {path} cannot be read") from None
    except AnchorsMalformed as error:
        raise Failure(f"--anchor-file: {error}") from None


def _anchor(text: str) -> AuditAnchor:
    found = _ANCHOR.fullmatch(text.lower())
    if found is None:
        raise Failure("--anchor: must be a position and a hash, such as 1200:9f86d0...")
    return AuditAnchor(int(found[1]), bytes.fromhex(found[2]))
