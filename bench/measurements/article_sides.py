"""The systems that readers read and search articles of, ready to be called; each answer is held against the texts."""

import itertools
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote
from uuid import uuid4

import orjson
import psycopg

from backroom.articles.v1.article_service_pb2 import (
    GetArticleRequest,
    GetArticleResponse,
    SearchArticlesRequest,
    SearchArticlesResponse,
)
from bench.articles import articles, queries
from bench.measurements.sides import CALLERS, CONNECTIONS
from bench.peers.http1 import head, open_many
from bench.peers.serving import usual
from bench.peers.usual.article_models import Article, Revision
from bench.peers.usual.database import create_engine, create_tables
from bench.peers.usual.issuing import TokenIssuer
from bench.setting import Bench
from load.connections import Connections, Server
from load.loops import Call
from load.order_requests import Unexpected

GET_ARTICLE = "/backroom.articles.v1.ArticleService/GetArticle"
SEARCH = "/backroom.articles.v1.ArticleService/SearchArticles"
_PAGE = 20

_STAGED = "CREATE TEMPORARY TABLE staged (number int, id uuid, title text, slug text, body text, html text)"
_OURS = (
    """
    INSERT INTO articles.articles
    SELECT id, id, 'en', gen_random_uuid(), slug, 'published', 1, 1, now() - number * interval '1 second',
        NULL, NULL, NULL, 1, 1, now(), now() FROM staged
    """,
    "INSERT INTO articles.revisions SELECT id, 1, title, '', body, '{}', html, body, id, NULL, now() FROM staged",
    "INSERT INTO articles.slugs SELECT 'en', slug, id FROM staged",
    """
    INSERT INTO articles.search_documents
        (article_id, language, publish_time, folded_title, plain, folded, words, stems)
    SELECT id, 'en', now() - number * interval '1 second', title, body, body,
        setweight(to_tsvector('simple', title), 'A') || to_tsvector('simple', body),
        setweight(to_tsvector('english', title), 'A') || to_tsvector('english', body) FROM staged
    """,
    "ANALYZE articles.articles, articles.revisions, articles.slugs, articles.search_documents",
)
USUAL_ARTICLES = (
    """
    INSERT INTO articles (id, original_id, language, slug, author_id, state, publish_time, version, create_time,
        update_time)
    SELECT id, id, 'en', slug, gen_random_uuid(), 'published', now() - number * interval '1 second', 1, now(), now()
    FROM staged
    """,
    """
    INSERT INTO revisions (id, article_id, number, title, summary, content, html, plain, tags, saved_by, create_time)
    SELECT gen_random_uuid(), id, 1, title, '', body, html, body, '{}', id, now() FROM staged
    """,
    "UPDATE articles SET published_id = revisions.id FROM revisions WHERE article_id = articles.id",
    "VACUUM ANALYZE articles, revisions",
)


@dataclass(frozen=True, slots=True)
class Readers:
    """A server whose readers read articles one by one, and search them."""

    pid: int
    get: Call
    search: Call


def filled(url: str, statements: Sequence[str], count: int) -> list[str]:
    """The ids of so many published articles, which are written past the server."""
    ids: list[str] = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_STAGED)
        with connection.cursor().copy("COPY staged FROM STDIN") as copy:
            for each in articles(count):
                ids.append(str(uuid4()))
                copy.write_row((each.number, ids[-1], each.title, each.slug, each.text, each.html))
        for statement in statements:
            connection.execute(statement.encode())
    return ids


@asynccontextmanager
async def our_articles(bench: Bench, name: str, count: int) -> AsyncIterator[Readers]:
    """Backroom with so many, on a server and a database of its own."""
    url = bench.database(name)
    ids = filled(url, _OURS, count)
    async with bench.backroom(url) as server:
        connections = Connections(Server(server.address, server.api_key), CONNECTIONS)
        await connections.open()
        get_article, search_articles = connections.method(GET_ARTICLE), connections.method(SEARCH)
        wanted, asked = _in_turn(ids), itertools.cycle(queries(count))

        async def get(caller: int) -> None:
            article_id = next(wanted)
            body = GetArticleRequest(article_id=article_id).SerializeToString()
            article = GetArticleResponse.FromString(await get_article(caller, body)).article
            expect(article.article_id == article_id and article.html == f"<p>{article.content}</p>\n", article_id)

        async def search(caller: int) -> None:
            query = next(asked)
            body = SearchArticlesRequest(query=query, page_size=_PAGE).SerializeToString()
            hits = SearchArticlesResponse.FromString(await search_articles(caller, body)).hits
            expect(bool(hits) and all("<mark>" in hit.title_html + hit.snippet_html for hit in hits), query)

        yield Readers(server.pid, get, search)
        await connections.close()


async def made_tables(url: str) -> None:
    """The usual stack's, before it starts itself."""
    engine = create_engine(url)
    assert Article.metadata is Revision.metadata  # noqa: S101 - it has these tables, too
    await create_tables(engine)
    await engine.dispose()


@asynccontextmanager
async def usual_articles(bench: Bench, name: str, count: int) -> AsyncIterator[Readers]:
    """The usual stack with as many."""
    url, issuer = bench.empty_database(name), TokenIssuer()
    await made_tables(url)
    ids = filled(url, USUAL_ARTICLES, count)
    bearer = f"Bearer {issuer.token(uuid4(), ['articles.browse'])}"
    with usual(url, "orm", issuer.public_key) as server:
        host, _, port = server.address.rpartition(":")
        headers = head(host, int(port), authorization=bearer, content_type="application/json")
        connections = await open_many(host, int(port), CALLERS)
        wanted, asked = _in_turn(ids), itertools.cycle(queries(count))

        async def read(caller: int, path: str) -> bytes:
            status, answer = await connections[caller].call(b"GET", path.encode(), headers, b"")
            if status != 200:
                raise Unexpected(f"{status}: {answer.decode(errors='replace'):.200}")
            return answer

        async def get(caller: int) -> None:
            article_id = next(wanted)
            article = orjson.loads(await read(caller, f"/articles/{article_id}"))
            expect(article["id"] == article_id and article["html"] == f"<p>{article['content']}</p>\n", article_id)

        async def search(caller: int) -> None:
            query = next(asked)
            hits = orjson.loads(await read(caller, f"/articles/search?query={quote(query)}&limit={_PAGE}"))
            expect(bool(hits) and all("<mark>" in hit["title_html"] + hit["snippet_html"] for hit in hits), query)

        yield Readers(server.pid, get, search)
        for connection in connections:
            await connection.close()


def _in_turn(ids: Sequence[str]) -> Iterator[str]:
    mixed = list(ids)
    random.Random(1).shuffle(mixed)  # noqa: S311 - nothing is kept secret by it
    return itertools.cycle(mixed)


def expect(right: bool, what: str) -> None:
    """Raises Unexpected."""
    if not right:
        raise Unexpected(f"the answer for {what} is not what it should be")
