"""The day of slots in the demo, against the real server."""

import pytest

from replay.booking import PLACES, book_day
from replay.calling import NotShown
from storage.database import Database
from tests.fixtures.servers import running
from tests.replay.test_rollout import signed_in
from tests.replay.watched import row_counts

pytestmark = pytest.mark.slow


async def test_a_crowd_fills_each_slot_and_no_more(database: Database, database_url: str) -> None:
    """A second time the same callers get the same answers, and no row is added."""
    async with running(database) as server, signed_in(server) as (client, _):
        first = await book_day(client)
        before = row_counts(database_url)
        second = await book_day(client)

    assert first.complete
    assert set(first.booked.values()) == {PLACES}
    assert first.refused == {"ALREADY_BOOKED": 84, "OUTSIDE_OPENING_HOURS": 20}
    assert second == first
    assert row_counts(database_url) == before


async def test_where_the_account_may_not_make_a_resource_it_is_said(database: Database) -> None:
    """The permission that is missing; the replay before it counts all the same."""
    async with running(database) as server, signed_in(server, "staff") as (client, _):
        with pytest.raises(NotShown, match=r"PERMISSION_MISSING: .*bookings\.keep_resources"):
            await book_day(client)
