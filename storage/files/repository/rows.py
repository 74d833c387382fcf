"""How rows of files with their contents are selected, and what is made of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select

from storage.base import Records
from storage.files.records import Content, File, FileState, ListedFile, Outcome, Verdict
from storage.files.tables import contents, files

FILES = Records(File, state=FileState)
_SAID = (
    contents.c.content_type,
    contents.c.outcome,
    contents.c.scanner,
    contents.c.signatures,
    contents.c.detail,
    contents.c.verdict_time,
)


def _verdict(outcome: str | None, scanner: str, signatures: str, detail: str, time: datetime) -> Verdict | None:
    return Verdict(Outcome(outcome), scanner, signatures, detail, time) if outcome is not None else None


CONTENTS = Records(
    Content, state=FileState, verdict=(_verdict, "outcome", "scanner", "signatures", "detail", "verdict_time")
)


def listed_files(*more: Any) -> Select[Any]:
    """Files with what their contents' latest verdicts say."""
    return select(*files.c, *_SAID, *more).select_from(
        files.join(contents, contents.c.sha256 == files.c.sha256, isouter=True)
    )


def listed(rows: Sequence[Row[Any]]) -> list[ListedFile]:
    """The files of one statement's rows."""
    return [
        ListedFile(
            file,
            row.content_type or "",
            _verdict(row.outcome, row.scanner, row.signatures, row.detail, row.verdict_time),
        )
        for file, row in zip(FILES.all(rows), rows, strict=True)
    ]
