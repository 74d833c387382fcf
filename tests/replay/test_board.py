"""The board of the demo, against the real server."""

import pytest

from replay.board import COLUMNS, TITLES, clear_board
from replay.calling import NotShown
from storage.database import Database
from tests.fixtures.servers import running
from tests.replay.test_rollout import signed_in
from tests.replay.watched import row_counts
from tests.tasks.calling import broken_laws

pytestmark = pytest.mark.slow


async def test_all_tasks_go_over_the_board_once(database: Database, database_url: str) -> None:
    """A second time the same calls get the same answers, and no row is added."""
    async with running(database) as server, signed_in(server) as (client, _):
        first = await clear_board(client)
        before = row_counts(database_url)
        second = await clear_board(client)

    assert first.complete
    assert (first.done, first.moves) == (len(TITLES), len(TITLES) * len(COLUMNS))
    assert second == first
    assert row_counts(database_url) == before
    assert broken_laws(database_url) == {}


async def test_where_the_account_may_not_create_a_project_it_is_said(database: Database) -> None:
    """The permission that is missing; the replay before it counts all the same."""
    async with running(database) as server, signed_in(server, "customer") as (client, _):
        with pytest.raises(NotShown, match=r"PERMISSION_MISSING: .*tasks\.create_projects"):
            await clear_board(client)
