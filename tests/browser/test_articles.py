"""Texts that would run a script, through every place where an article is shown, in a real browser."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from xml.etree import ElementTree as Xml

import httpx
import pytest

from backroom.articles.v1 import article_service_pb2 as pb
from server.articles.rules.folding import folded
from storage.database import Database
from tests.articles.calling import fresh, published, search
from tests.articles.payloads import ONE_LINE, PAYLOADS
from tests.browser.frames import shown
from tests.fixtures.servers import Api, Running, quick_passwords, running

pytestmark = pytest.mark.browser

_HTML = "text/html; charset=utf-8"
_ATOM = {"atom": "http://www.w3.org/2005/Atom"}
_MOST_FRAMES = 120
_IN_A_FEED = 20
_LANGUAGES = ("en", "de", "fr", "es", "it")


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
    pages: list[tuple[str, tuple[str, str]]] = []
    async with httpx.AsyncClient(base_url=server.http, timeout=60) as http:
        for place, payload in enumerate(PAYLOADS):
            article = await published(author, **written(place))
            answer = await http.get(f"/articles/{article.language}/{article.slug}")
            assert answer.status_code == 200
            pages += [(f"html of {payload}", page(article.html)), (f"page of {payload}", (_HTML, answer.text))]
        for language in _LANGUAGES:
            pages += feed_pages((await http.get(f"/articles/feed.atom?language={language}")).text)
    for hit in await search(author, "needle or title or document or executed", page_size=50):
        pages += [(f"search: {hit.article.title}", page(part)) for part in (hit.title_html, hit.snippet_html)]
    assert len(pages) == 5 * len(PAYLOADS) + len(_LANGUAGES)
    assert [pages[place][0] for place in await places_that_ran([shown for _, shown in pages])] == []


def written(place: int) -> dict[str, Any]:
    """An article with a text in every field that takes it; as many in one language as a feed has."""
    payload = PAYLOADS[place]
    line = payload if payload in ONE_LINE else f"title {place}"
    return {
        "language": _LANGUAGES[place // _IN_A_FEED],
        "slug": f"article-{place}",
        "title": line,
        "summary": line,
        "tags": [line[:50].strip()],
        "content": f"A needle in a haystack.\n\n{payload}\n\nneedle {payload}",
    }


def feed_pages(feed: str) -> list[tuple[str, tuple[str, str]]]:
    """The feed, and what readers of feeds show of its entries."""
    entries = Xml.fromstring(feed).findall("atom:entry", _ATOM)  # noqa: S314 - it is ours
    contents = [(each.findtext("atom:title", "", _ATOM), each.findtext("atom:content", "", _ATOM)) for each in entries]
    assert all(content for _, content in contents)
    shown = [(f"feed's content of {title}", page(content)) for title, content in contents]
    return [("the feed", ("application/xml; charset=utf-8", feed)), *shown]


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
