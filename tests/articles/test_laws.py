"""`backroom verify` finds planted damage of each kind in articles."""

from collections.abc import Sequence

import psycopg
import pytest

from storage.laws import LawReader
from storage.schema import LAWS
from storage.store import FRAME
from tests.articles.calling import ahead, changed, made, publish, published, schedule
from tests.fixtures.servers import Api, Running, SharedServer

_LAWS = [law for law in LAWS if "articles." in law.counted]

_LATE = """
    UPDATE articles.articles SET schedule_time = now() - interval '6 s', update_time = now() - interval '6 seconds'
    WHERE schedule_time IS NOT NULL
"""
_TWICE = """
    INSERT INTO frame.events (type, subject_id, data, create_time)
    SELECT type, subject_id, data, create_time FROM frame.events WHERE type = 'article.published'
"""

DAMAGES: Sequence[tuple[str, str, Sequence[str]]] = (
    (
        "a revision that is lost",
        "I26",
        [
            "DELETE FROM articles.reviews",
            "DELETE FROM articles.revisions WHERE number = 2",
        ],
    ),
    ("a slug that leads nowhere", "I27", ["DELETE FROM articles.slugs WHERE slug = 'seen'"]),
    ("a slug in another language", "I27", ["UPDATE articles.slugs SET language = 'fr' WHERE slug = 'before'"]),
    ("a published article that is not found", "I28", ["DELETE FROM articles.search_documents"]),
    ("a draft that is found", "I28", ["UPDATE articles.articles SET state = 'unpublished' WHERE slug = 'seen'"]),
    (
        "an article that is found by another text",
        "I28",
        ["UPDATE articles.search_documents SET plain = 'other', folded = 'other'"],
    ),
    ("a tag that is lost", "I29", ["DELETE FROM articles.taggings WHERE listing = 'published'"]),
    ("a tag that nobody gave", "I29", ["UPDATE articles.taggings SET tag = tag || 'x' WHERE listing = 'latest'"]),
    ("a publication that is late", "I30", [_LATE]),
    ("a change that nobody was told of", "I31", ["DELETE FROM frame.events WHERE type = 'article.published'"]),
    ("a change that was told twice", "I31", [_TWICE]),
)


async def broken(server: Running) -> set[str]:
    """The laws of articles that do not hold."""
    async with server.database.store(FRAME).transaction() as tx:
        found = await LawReader(tx._connection).check(_LAWS)
    return {finding.id for finding in found if finding.violations}


@pytest.mark.parametrize(("what", "law", "statements"), DAMAGES, ids=[what for what, _, _ in DAMAGES])
async def test_damage_is_found_by_its_law(
    emptied_server: SharedServer, server: Running, what: str, law: str, statements: Sequence[str]
) -> None:
    """And nothing is found before it."""
    author: Api = await server.sign_in("staff")
    seen = await published(author, slug="before", tags=["one", "two"])
    await changed(author, seen.article_id, slug="seen", content="Another text that is not published.")
    waiting = await made(author, title="Waiting")
    await schedule(author, waiting.article_id, at=ahead(hours=1))
    await publish(author, (await made(author, title="Also seen")).article_id)
    assert await broken(server) == set(), what
    with psycopg.connect(emptied_server.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
    assert law in await broken(server), what


async def test_the_database_refuses_to_change_a_revision(emptied_server: SharedServer, server: Running) -> None:
    """Whoever asks, in whatever way."""
    await made(await server.sign_in("staff"))
    with psycopg.connect(emptied_server.url, autocommit=True) as connection:
        for statement in ("UPDATE articles.revisions SET title = 'x'", "UPDATE articles.revisions SET number = number"):
            with pytest.raises(psycopg.errors.RaiseException, match="a revision never changes"):
                connection.execute(statement.encode())
