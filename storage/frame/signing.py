"""What the record's entries and its chain are signed with: HMAC-SHA256, by a key that is not in the database."""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime

from storage.frame.records import AuditEntry, AuditEvent, AuditSeal

START = bytes(32)
"""The hash that the chain's first place follows."""


def mac_of(entry: AuditEntry, secret: bytes) -> bytes:
    """The entry's own signature."""
    return hmac.digest(secret, _joined(_fields(entry)), hashlib.sha256)


def hash_of(previous: bytes, seal: AuditSeal, event: AuditEvent, secret: bytes) -> bytes:
    """The chain's hash up to a place: over the hash before, all that the place says, and all that the event says."""
    place = (seal.position, seal.sequence, seal.key_id, _time_text(seal.create_time))
    event_fields = (event.sequence, event.transaction_id, event.key_id, event.mac.hex())
    return hmac.digest(secret, previous + _joined((*place, *event_fields, *_fields(event.entry))), hashlib.sha256)


def _fields(entry: AuditEntry) -> tuple[object, ...]:
    return (
        _time_text(entry.create_time),
        entry.caller_id.hex,
        entry.action,
        entry.resource,
        entry.address,
        entry.call_id,
        entry.result,
        entry.id.hex,
    )


def _time_text(time: datetime) -> str:
    """The same text for the same moment, whatever its time zone."""
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return time.isoformat(timespec="microseconds")


def _joined(values: Iterable[object]) -> bytes:
    """Each value with its length before it, so that no two lists of values read alike."""
    texts = [str(value) for value in values]
    return "".join([f"{len(text)}:{text}" for text in texts]).encode()
