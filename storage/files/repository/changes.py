import json
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Row, Select, cast, select, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.files.records import File, FileAudience, FileChange, FileState, ListedFile, Outcome, Verdict
from storage.frame.records import ChangePage, LogRange
from storage.frame.tables import events
from storage.log import LogReader

_EVENT = ("sequence", "type", "subject_id", "data")


class FileChangeReader(LogReader):
    """What happened to files, from the log of events, which has all that is told of each."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection, events, events.c.type.like("file.%"))

    async def list_changes(self, log_range: LogRange, limit: int, audience: FileAudience) -> ChangePage[FileChange]:
        """The changes among the first `limit` of a range that an audience gets."""

        def visible(page: CTE) -> Select[Any]:
            return select(page).where(_concerns(page, audience))

        found, last = await self._read(log_range, limit, _EVENT, visible)
        return ChangePage([_change(row) for row in found], last)


def _concerns(page: CTE, audience: FileAudience) -> ColumnElement[bool]:
    concerns: ColumnElement[bool] = true()
    if audience.owner_id is not None:
        concerns &= cast(page.c.data, JSONB)["owner_id"].astext == str(audience.owner_id)
    if audience.file_id is not None:
        concerns &= page.c.subject_id == audience.file_id
    return concerns


def _change(row: Row[Any]) -> FileChange:
    data = json.loads(row.data)
    file = File(
        id=row.subject_id,
        owner_id=UUID(data["owner_id"]),
        name=data["name"],
        size_bytes=data["size_bytes"],
        declared_type=data["declared_type"],
        sha256=data["sha256"],
        state=FileState(data["state"]),
        legal_hold=data["legal_hold"],
        expire_time=_time(data["expire_time"]),
        version=data["version"],
        create_time=datetime.fromisoformat(data["create_time"]),
        update_time=datetime.fromisoformat(data["update_time"]),
    )
    listed = ListedFile(file, data["content_type"], _verdict(data["verdict"]))
    return FileChange(row.sequence, row.type.removeprefix("file."), listed)


def _verdict(data: Any) -> Verdict | None:
    if data is None:
        return None
    return Verdict(
        outcome=Outcome(data["outcome"]),
        scanner=data["scanner"],
        signatures=data["signatures"],
        detail=data["detail"],
        create_time=datetime.fromisoformat(data["create_time"]),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
