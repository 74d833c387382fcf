"""How a batch of rows is passed to one statement."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import select

from storage.base import json_parameter
from storage.base import json_rows as given_rows
from storage.database import Database
from storage.schema import METADATA
from storage.store import FRAME
from tests.fixtures.examples import examples

REQUESTS = METADATA.tables["frame.request_ids"]
ORDERS = METADATA.tables["commerce.orders"]
NAMES = ("caller_id", "digest", "answer", "create_time")
NOW = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
VALUES = st.tuples(
    st.uuids(),
    st.none() | TEXTS,
    TEXTS,
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.decimals(0, 10**18, places=9),
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
)
ORDER_NAMES = ("id", "reference", "customer_id", "line_count", "unit_count", "total", "create_time")


def test_rows_of_unequal_length_are_a_defect() -> None:
    """They are not truncated to the shortest."""
    with pytest.raises(ValueError, match="shorter"):
        json_parameter(("a", "b"), [(1, 2), (3,)])


def test_a_value_of_an_unknown_kind_is_a_defect() -> None:
    """It is not passed as its text representation."""
    with pytest.raises(TypeError, match="object"):
        json_parameter(("a",), [(object(),)])


async def test_rows_passed_to_a_statement_are_returned_unchanged(database: Database) -> None:
    """However many, in order, with bytes, times to the microsecond, and nulls."""
    for count in (0, 1, 3, 1000):
        rows = [(UUID(int=place), bytes([place % 256, 0]), None if place % 2 else "é'", NOW) for place in range(count)]
        async with database.store(FRAME).reading() as tx:
            found = await tx._connection.execute(select(given_rows(REQUESTS, *NAMES)), json_parameter(NAMES, rows))
            assert [tuple(row) for row in found] == rows


@examples(50, suppress=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(VALUES, max_size=5))
async def test_every_value_of_a_row_is_returned_exactly(database: Database, rows: list[tuple[object, ...]]) -> None:
    """Any text that PostgreSQL can hold, any amount to nine decimals, any number that fits its column."""
    async with database.store(FRAME).reading() as tx:
        found = await tx._connection.execute(
            select(given_rows(ORDERS, *ORDER_NAMES)), json_parameter(ORDER_NAMES, rows)
        )
        assert [tuple(row) for row in found] == rows
