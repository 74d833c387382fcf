"""The articles in the demo, against the real server."""

import pytest

from replay.calling import NotShown
from replay.publishing import publish_articles
from storage.database import Database
from tests.fixtures.servers import running
from tests.replay.test_rollout import signed_in
from tests.replay.watched import row_counts

pytestmark = pytest.mark.slow


async def test_an_article_and_its_translation_go_live_together(database: Database, database_url: str) -> None:
    """A second time nothing is written anew, and no row is added."""
    async with running(database, jobs_on=database_url) as server, signed_in(server) as (client, _):
        first = await publish_articles(client)
        before = row_counts(database_url)
        second = await publish_articles(client)

    assert first.complete
    assert second == first
    after = row_counts(database_url)
    assert {name: count for name, count in after.items() if "articles." in name} == {
        name: count for name, count in before.items() if "articles." in name
    }


async def test_where_the_account_may_not_write_it_is_said(database: Database) -> None:
    """The permission that is missing; the replay before it counts all the same."""
    async with running(database) as server, signed_in(server, "customer") as (client, _):
        with pytest.raises(NotShown, match=r"PERMISSION_MISSING: .*articles\.write"):
            await publish_articles(client)
