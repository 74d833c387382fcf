"""How a batch of rows is handed to one statement."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from storage.base import columns_of
from storage.base import given as given_rows
from storage.database import Database
from storage.schema import METADATA

REQUESTS = METADATA.tables["frame.request_ids"]
NAMES = ("caller_id", "digest", "answer", "create_time")
NOW = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(), st.text(max_size=3)), max_size=5))
def test_rows_become_columns(rows: list[tuple[int, str]]) -> None:
    """One list a column, as long as there are rows, in their order."""
    assert columns_of(("a", "b"), rows) == {"given_a": [row[0] for row in rows], "given_b": [row[1] for row in rows]}


def test_rows_of_unequal_length_are_a_defect() -> None:
    """They are not cut to the shortest."""
    with pytest.raises(ValueError, match="shorter"):
        columns_of(("a", "b"), [(1, 2), (3,)])


async def test_rows_given_to_a_statement_come_back_as_they_were(database: Database) -> None:
    """However many, in order, with bytes, times to the microsecond, and what is absent."""
    for count in (0, 1, 3, 1000):
        rows = [(UUID(int=place), bytes([place % 256, 0]), None if place % 2 else "é'", NOW) for place in range(count)]
        async with database.reading() as tx:
            found = await tx._connection.execute(select(given_rows(REQUESTS, *NAMES)), columns_of(NAMES, rows))
            assert [tuple(row) for row in found] == rows
