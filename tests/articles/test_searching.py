"""Searching: what is found, in which order, and what is shown of it."""

import re
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from backroom.articles.v1 import article_service_pb2 as pb
from server.articles.rules.folding import folded
from storage.articles.records import SearchQuery
from storage.articles.repository.search import MAX_RANKED, search_statement
from storage.articles.store import ARTICLES
from storage.database import Database
from tests.articles.calling import changed, made, publish, published, search, unpublish
from tests.fixtures.servers import Api, Running, refusal


@pytest.fixture
async def author(server: Running) -> Api:
    return await server.sign_in("staff")


async def test_matches_are_ranked_and_shown_in_their_context(author: Api, customer: Api) -> None:
    """A match in the title counts most, then the summary and the tags, then the text."""
    in_text = await published(author, title="Hot drinks", content="Brew **tea** in a pot & wait.")
    in_tags = await published(author, title="Cold drinks", tags=["tea"])
    in_title = await published(author, title="Tea for two")
    await made(author, title="Tea that nobody sees yet")
    hits = await search(customer, "tea")
    assert [hit.article.article_id for hit in hits] == [each.article_id for each in (in_title, in_tags, in_text)]
    assert hits[0].title_html == "<mark>Tea</mark> for two"
    assert hits[2].snippet_html == "Brew <mark>tea</mark> in a pot &amp; wait."
    assert [hit.rank for hit in hits] == sorted((hit.rank for hit in hits), reverse=True)


async def test_accents_and_case_make_no_difference_and_are_shown(author: Api, customer: Api) -> None:
    article = await published(author, title="Crème brûlée", content="Ein süßer Nachtisch aus dem CAFÉ in Łódź.")
    for query in ("creme brulee", "CRÈME", "café", "cafe", "lodz", "Łódź"):
        (hit,) = await search(customer, query)
        assert hit.article.article_id == article.article_id
    assert "<mark>CAFÉ</mark>" in (await search(customer, "cafe"))[0].snippet_html
    assert (await search(customer, "creme"))[0].title_html == "<mark>Crème</mark> brûlée"


async def test_words_are_found_by_their_stems_in_one_language(author: Api, customer: Api) -> None:
    """Without a language, as they are written, in the articles of all."""
    english = await published(author, title="On gardening", content="She was running through the gardens.")
    german = await published(author, title="Running", language="de", content="Laufen im Garten, jeden Tag.")
    assert [hit.article.article_id for hit in await search(customer, "garden run", language="en")] == [
        english.article_id
    ]
    assert await search(customer, "garden run") == []
    both = {hit.article.article_id for hit in await search(customer, "running")}
    assert both == {english.article_id, german.article_id}
    assert [hit.article.article_id for hit in await search(customer, "running", language="de")] == [german.article_id]


@pytest.mark.parametrize(
    "query",
    ["'", '"', "a & b | c:*", "\\", "<script>", "%", "((", "!!", ":*", "-", "or or", "\u0001", "😀", "the", "x" * 200],
)
async def test_any_text_can_be_searched_for(author: Api, customer: Api, query: str) -> None:
    await published(author)
    assert await search(customer, query) == []


async def test_phrases_alternatives_and_exclusions_count(author: Api, customer: Api) -> None:
    one = await published(author, title="One", content="The quick brown fox jumps.")
    two = await published(author, title="Two", content="The brown quick dog sleeps.")

    async def found(query: str) -> set[str]:
        return {hit.article.article_id for hit in await search(customer, query)}

    assert await found('"quick brown"') == {one.article_id}
    assert await found("fox or dog") == {one.article_id, two.article_id}
    assert await found("quick -dog") == {one.article_id}


async def test_what_is_searched_is_what_readers_see(author: Api, customer: Api) -> None:
    """The published revision, until it is taken back."""
    article = await published(author, content="Something about lemons.")
    await changed(author, article.article_id, content="Something about oranges.")
    assert (len(await search(customer, "lemons")), len(await search(customer, "oranges"))) == (1, 0)
    await publish(author, article.article_id)
    assert (len(await search(customer, "lemons")), len(await search(customer, "oranges"))) == (0, 1)
    await unpublish(author, article.article_id)
    assert await search(customer, "oranges") == []


async def test_pages_of_a_search_show_each_match_once(author: Api, customer: Api) -> None:
    """While others are published and taken back in between."""
    stands = [await published(author, title=f"Apple {'apple ' * (each % 3)}{each}") for each in range(7)]
    gone = await published(author, title="Apple gone")
    request, seen = pb.SearchArticlesRequest(query="apple", page_size=2), list[str]()
    while True:
        page = await customer.articles.SearchArticles(request)
        seen += [hit.article.article_id for hit in page.hits]
        if not page.next_page_token:
            break
        assert len(seen) <= len(stands) + 1
        request.page_token = page.next_page_token
        await unpublish(author, gone.article_id)
        await publish(author, gone.article_id)
    assert len(seen) == len({*seen})
    assert {each.article_id for each in stands} <= {*seen}
    other = pb.SearchArticlesRequest(query="pear", page_token=request.page_token)
    assert (await refusal(customer.articles.SearchArticles(other))).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    "text", ["Crème brûlée", "Łódź Øl", "한국어 हिन्दी العربية", "ﬁﬂ ½ ⁵ ﷺ", "a<b>&amp;", "😀\u0301x\u0302"]
)
def test_text_without_accents_has_as_many_characters(text: str) -> None:
    """So what is found in it is at the same place in the text."""
    assert len(folded(text)) == len(text)
    assert not {*"<>&"} & {*folded(text)}


_FILL = """
    WITH made AS (
        INSERT INTO articles.articles
        SELECT gen_random_uuid(), gen_random_uuid(), 'en', gen_random_uuid(), 'slug-' || n, 'published', 1, 1,
            now() - n * interval '1 second', NULL, NULL, NULL, 1, 1, now(), now()
        FROM generate_series(1, %(count)s) AS n RETURNING id, slug, publish_time
    ), revised AS (
        INSERT INTO articles.revisions
        SELECT id, 1, slug, '', 'content of ' || slug, '{}', '', 'plain', id, NULL, now() FROM made
    )
    INSERT INTO articles.search_documents
    SELECT id, 'en', publish_time, slug, 'common words ' || slug, 'common words ' || slug,
        to_tsvector('simple', 'common words ' || slug), to_tsvector('english', 'common words ' || slug) FROM made
"""


def plan_of(connection: psycopg.Connection[Any], word: str) -> str:
    """How PostgreSQL searches for a word, and how many rows each step gave."""
    values = {"query": word, "as_of": datetime.now(UTC), "most": 21}
    statement = search_statement("simple", False, False).params(values)
    dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]  # as SQLAlchemy has it
    written = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    lines = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF) {written}".encode()).fetchall()
    return "\n".join(line for (line,) in lines)


async def test_a_search_among_many_uses_an_index_and_costs_what_a_page_costs(
    database: Database, database_url: str
) -> None:
    """A rare word is found by the index of words; of one that is everywhere, so many are ranked and no more."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_FILL, {"count": 10_000})
        connection.execute("VACUUM ANALYZE articles.search_documents, articles.articles, articles.revisions")
        rare, common = plan_of(connection, "slug-7777"), plan_of(connection, "common")
    assert "ix_search_documents_words" in rare, rare
    assert "ix_search_documents_by_time" in common, common
    for plan in (rare, common):
        assert "Seq Scan" not in plan, plan
        assert max(map(int, re.findall(r"rows=([0-9]+)(?:\.00)? loops", plan))) <= MAX_RANKED, plan
    query = SearchQuery("slug-7777", None, datetime.now(UTC))
    async with database.store(ARTICLES).reading() as reading:
        (found,) = await reading.search.find(query, after=None, limit=21)
    assert found.listed.head.title == "slug-7777"
