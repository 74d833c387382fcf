"""The usual stack shows and finds articles as Backroom does."""

import asyncio
from collections.abc import Iterator

import pytest

from bench.articles import articles, queries
from bench.measurements.article_sides import USUAL_ARTICLES, filled, made_tables
from bench.peers.serving import usual
from bench.peers.usual.issuing import TokenIssuer
from storage.url import sibling
from tests.bench.test_peers import Usual, made_database, told

pytestmark = pytest.mark.proof

_COUNT = 50


@pytest.fixture
def peer(postgres: str) -> Iterator[tuple[Usual, list[str]]]:
    issuer = TokenIssuer()
    with made_database(postgres) as name:
        url = sibling(postgres, name)
        asyncio.run(made_tables(url))
        ids = filled(url, USUAL_ARTICLES, _COUNT)
        with usual(url, "orm", issuer.public_key) as served:
            yield Usual(served, url, issuer), ids


async def test_an_article_is_shown_and_found(peer: tuple[Usual, list[str]]) -> None:
    """Each search finds the article that its words are of; one that is not there is answered as such."""
    stack, ids = peer
    texts = list(articles(_COUNT))
    async with stack.client as client:
        first = (await client.get(f"/articles/{ids[0]}")).json()
        assert (first["title"], first["html"], first["translations"]) == (texts[0].title, texts[0].html, [])
        for query in queries(_COUNT)[:5]:
            hits = (await client.get("/articles/search", params={"query": query})).json()
            assert hits
            assert all("<mark>" in hit["title_html"] + hit["snippet_html"] for hit in hits)
            assert [hit["rank"] for hit in hits] == sorted((hit["rank"] for hit in hits), reverse=True)
        missing = await client.get("/articles/0198c2d8-9a31-7cc0-a5a5-0b8a3f0c1a11")
        assert told(missing) == (404, "ARTICLE_NOT_FOUND")
