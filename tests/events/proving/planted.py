"""A server with a defect that others have had: a key is claimed in an earlier transaction than its event is stored in.

A server that dies in between has claimed what it never stored: sent again, it is taken for a duplicate.
"""

import asyncio
from typing import Any

from server.__main__ import main
from storage.events.repository import ingest

_BETWEEN_SECONDS = 1.0
"""Longer than the rest of a transaction takes on a busy machine: almost every kill finds a batch here."""
_recounted = ingest._recounted


async def _commit_the_claims(cursor: Any, sequence: int, count: int, expected: int) -> None:
    await _recounted(cursor, sequence, count, expected)
    await cursor.execute("COMMIT")
    await asyncio.sleep(_BETWEEN_SECONDS)


if __name__ == "__main__":
    ingest._recounted = _commit_the_claims
    main()
