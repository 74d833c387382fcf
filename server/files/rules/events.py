"""The events that others learn of: the types of the events of files, and what each one says."""

from collections.abc import Mapping
from typing import Any

import orjson

from server.frame.events import EventType
from storage.files.records import ListedFile, Verdict
from storage.frame.records import Event

_READ = ("files.read",)

EVENT_TYPES: Mapping[str, EventType] = {
    "file.created": EventType("An upload was created.", _READ),
    "file.stored": EventType("All bytes of a file are stored, and wait to be scanned.", _READ),
    "file.scanning": EventType("A file is being scanned.", _READ),
    "file.clean": EventType("A file was found to be clean, and is served from now on.", _READ),
    "file.infected": EventType("Something was found in a file, which is not served.", _READ),
    "file.unscannable": EventType("The scanner cannot tell whether a file is clean.", _READ),
    "file.held": EventType("A file was put under legal hold.", _READ),
    "file.released": EventType("A file was released from legal hold.", _READ),
    "file.changed": EventType("A file has another owner, or another time to expire.", _READ),
    "file.deleted": EventType("A file was deleted, or its upload was given up.", _READ),
}


def file_event(happened: str, listed: ListedFile) -> Event:
    """What happened to a file, and the file after it."""
    file = listed.file
    data = {
        "file_id": file.id,
        "owner_id": file.owner_id,
        "name": file.name,
        "size_bytes": file.size_bytes,
        "declared_type": file.declared_type,
        "sha256": file.sha256,
        "state": file.state,
        "legal_hold": file.legal_hold,
        "expire_time": file.expire_time,
        "content_type": listed.content_type,
        "verdict": _verdict(listed.verdict),
        "version": file.version,
        "create_time": file.create_time,
        "update_time": file.update_time,
    }
    return Event(f"file.{happened}", file.id, orjson.dumps(data).decode(), file.update_time)


def _verdict(verdict: Verdict | None) -> Mapping[str, Any] | None:
    if verdict is None:
        return None
    names = ("outcome", "scanner", "signatures", "detail", "create_time")
    return {name: getattr(verdict, name) for name in names}
