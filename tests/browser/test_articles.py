"""Texts that would run a script, through every place where an article is shown, in a real browser."""

from collections.abc import AsyncIterator, Sequence
from xml.etree import ElementTree as Xml

import httpx
import pytest

from backroom.articles.v1 import article_service_pb2 as pb
from server.articles.rules.folding import folded
from storage.database import Database
from tests.articles.calling import fresh, published
from tests.articles.payloads import ONE_LINE, PAYLOADS
from tests.browser.frames import shown
from tests.fixtures.servers import Api, Running, quick_passwords, running

pytestmark = pytest.mark.browser

_HTML = "text/html; charset=utf-8"
_ATOM = {"atom": "http://www.w3.org/2005/Atom"}
_MOST_FRAMES = 120


def page(part: str) -> tuple[str, str]:
    """A page without any policy that has this in it."""
    return _HTML, f"<!doctype html><title>page</title><body><article>{part}</article>"


async def places_that_ran(pages: Sequence[tuple[str, str]]) -> list[int]:
    """The places of the pages that ran a script; those around them included."""
    found: list[int] = []
    for begin in range(0, len(pages), _MOST_FRAMES):
        some = pages[begin : begin + _MOST_FRAMES]
        ran = await shown(some)
        found += [begin + place for place in sorted(ran.pages)]
        assert not ran.top, "a page ran a script around it"
    return found


@pytest.fixture
async def server(database: Database) -> AsyncIterator[Running]:
    async with running(database, passwords=quick_passwords(), calls_per_second=0) as opened:
        yield opened


@pytest.fixture
async def author(server: Running) -> Api:
    return await server.sign_in("staff")


async def test_the_harness_notices_what_runs() -> None:
    """Shown as they are, most of the texts do run; a page without any does not."""
    raw = [page(payload) for payload in PAYLOADS if "top." not in payload]
    ran = await shown([page("Nothing."), *raw])
    assert 0 not in ran.pages
    assert len(ran.pages) >= 30, sorted(ran.pages)


async def test_no_text_of_an_article_runs(server: Running, author: Api) -> None:
    """As content, title, summary and tags; as HTML, as a page, in the feed and in what a search shows."""
    pages: list[tuple[str, str]] = []
    names: list[str] = []

    def add(name: str, kind: str, text: str) -> None:
        names.append(name)
        pages.append((kind, text))

    async with httpx.AsyncClient(base_url=server.http, timeout=60) as http:
        for place, payload in enumerate(PAYLOADS):
            line = payload if payload in ONE_LINE else f"title {place}"
            article = await published(
                author, slug=f"article-{place}", title=line, summary=line, tags=[line[:50].strip()],
                content=f"A needle in a haystack.\n\n{payload}\n\nneedle {payload}",
            )  # fmt: skip
            add(f"html of {payload}", *page(article.html))
            add(f"page of {payload}", _HTML, (await http.get(f"/articles/en/{article.slug}")).text)
            feed = await http.get("/articles/feed.atom")
            entry = Xml.fromstring(feed.content).find("atom:entry", _ATOM)  # noqa: S314 - it is ours
            assert entry is not None
            assert entry.findtext("atom:title", "", _ATOM) == line
            add(f"feed's content of {payload}", *page(entry.findtext("atom:content", "", _ATOM)))
    add("the feed", "application/xml; charset=utf-8", feed.text)
    request = pb.SearchArticlesRequest(query="needle or title or document or executed", page_size=50)
    while True:
        answer = await author.articles.SearchArticles(request)
        for hit in answer.hits:
            add(f"title in a search: {hit.article.title}", *page(hit.title_html))
            add(f"snippet in a search: {hit.article.title}", *page(hit.snippet_html))
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert len(pages) == 5 * len(PAYLOADS) + 1
    assert [names[place] for place in await places_that_ran(pages)] == []


async def test_no_draft_runs_by_its_preview(server: Running, author: Api) -> None:
    """A handful will do: the page is the same."""
    pages = []
    async with httpx.AsyncClient(base_url=server.http, timeout=60) as http:
        for payload in PAYLOADS[::9]:
            article = await published(author, title=folded(payload)[:200].split("\n")[0], content=f"Text.\n\n{payload}")
            link = pb.CreatePreviewLinkRequest(request_id=fresh(), article_id=article.article_id)
            path = (await author.articles.CreatePreviewLink(link)).path
            pages.append((_HTML, (await http.get(path)).text))
    assert await places_that_ran(pages) == []
