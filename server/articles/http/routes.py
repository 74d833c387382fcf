"""GET /articles/...: pages of published articles, a feed, a sitemap, and previews by a signed link."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from time import monotonic
from urllib.parse import urlencode
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from server.articles.errors import ArticleNotFound
from server.articles.http import feeds
from server.articles.http.pages import SECURE, page
from server.articles.rules.links import PreviewLink
from server.articles.rules.writing import is_language, is_slug, same_tag
from server.articles.service import Articles, Previews
from server.frame.addresses import caller_networks
from server.frame.caller import ANONYMOUS
from server.frame.entity_tags import etag_of
from server.frame.errors import RateLimited, TokenInvalid
from server.frame.http import Handler, HttpCallers, PublicAnswers, unless_known
from server.frame.interceptors.rate_limit import Buckets, Rate
from server.frame.sealing import MasterKeys
from server.frame.signed_links import SignedLinks
from storage.articles.records import ArticleFilter, Listing, WholeArticle

FOLDER = "/articles"
_PURPOSE = "articles.preview"
_RATE = Rate(per_second=20, burst=200)
"""Of one network."""
_ENTRIES = 20
PAGES_OF_A_SITEMAP = 10_000
_START = re.compile(r"([0-9]{1,16})-([0-9a-f]{32})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HTML = "text/html; charset=utf-8"
_PUBLIC = "public, no-cache"
"""To be asked about each time, so that nothing keeps showing what was taken back."""


class PublicRoutes:
    """Answers readers, who need no account."""

    def __init__(
        self,
        articles: Articles,
        previews: Previews,
        callers: HttpCallers,
        master_keys: MasterKeys,
        logger: structlog.typing.FilteringBoundLogger,
        *,
        url: str,
        title: str,
    ) -> None:
        """`url` is where readers reach this server, without a slash at its end, and `title` what the feed is called."""
        self._articles = articles
        self._previews = previews
        self._callers = callers
        self._links = SignedLinks(master_keys, _PURPOSE)
        self._answers = PublicAnswers(
            "articles",
            logger,
            hidden=(ArticleNotFound, TokenInvalid),
            nothing_here="Nothing is published here.\n",
            headers=SECURE,
        )
        self._url = url
        self._title = title
        self._buckets = Buckets(_RATE, monotonic)
        # One after the other: to write a large one takes some hundredths of a second of a core.
        self._writing = asyncio.Semaphore(1)

    def routes(self) -> tuple[Route, ...]:
        answers: Mapping[str, Handler] = {
            "/feed.atom": self._feed,
            "/sitemap.xml": self._sitemap_index,
            "/sitemaps/{start}.xml": self._sitemap,
            "/previews/{link}": self._preview,
            "/{language}/{slug}": self._page,
        }
        return tuple(Route(FOLDER + path, self._answering(act), methods=["GET"]) for path, act in answers.items())

    def preview_path(self, link: PreviewLink) -> str:
        """A link as it is given out."""
        article_id, revision, account_id, version, until = astuple(link)
        written = self._links.written([article_id.hex, revision, account_id.hex, version, until])
        return f"{FOLDER}/previews/{written}"

    def _answering(self, act: Handler) -> Handler:
        async def taken(request: Request) -> Response:
            self._take(request)
            return await act(request)

        return self._answers.around(taken)

    def _take(self, request: Request) -> None:
        if wait := self._buckets.take_from_all(caller_networks(self._callers.address_of(request))):
            raise RateLimited(retry_after=wait)

    def _url_of(self, language: str, slug: str) -> str:
        return f"{self._url}{FOLDER}/{language}/{slug}"

    async def _page(self, request: Request) -> Response:
        language, slug = request.path_params["language"], request.path_params["slug"]
        if not is_language(language) or not is_slug(slug):
            raise ArticleNotFound
        found = await self._articles.get(ANONYMOUS, (language, slug), Listing.PUBLISHED)
        article, head = found.listed.article, found.listed.head
        url = self._url_of(language, article.slug)
        if article.slug != slug:
            return RedirectResponse(url, 301, {"cache-control": _PUBLIC})
        translations = tuple((each, self._url_of(each.language, each.slug)) for each in found.translations)
        etag = etag_of(url, article.publish_time, head.number, article.id, [other for _, other in translations])

        def written() -> str:
            return page(
                language=language,
                title=head.title,
                summary=head.summary,
                html=found.body.html,
                tags=head.tags,
                publish_time=article.publish_time,
                canonical=url,
                translations=translations,
            )

        return _unless_known(request, etag, lambda: Response(written(), media_type=_HTML))

    async def _preview(self, request: Request) -> Response:
        article_id, revision, account_id, version, until = self._links.read(request.path_params["link"])
        link = PreviewLink(UUID(article_id), revision, UUID(account_id), version, until)
        article, found = await self._previews.read(link)
        head = found.head
        written = page(
            language=article.language, title=head.title, summary=head.summary, html=found.body.html, tags=head.tags
        )
        headers = {"cache-control": "private, no-store", "x-robots-tag": "noindex"}
        return Response(written, headers=headers, media_type=_HTML)

    async def _feed(self, request: Request) -> Response:
        language, tag = request.query_params.get("language", ""), same_tag(request.query_params.get("tag", ""))
        if (language and not is_language(language)) or "\0" in tag:
            raise ArticleNotFound
        wanted = ArticleFilter(Listing.PUBLISHED, language=language or None, tag=tag or None)
        heads = await self._articles.list_latest(ANONYMOUS, wanted, before=None, limit=_ENTRIES)
        etag = etag_of([(each.id, each.article.slug, each.head.number, each.publish_time) for each in heads])
        asked = urlencode({name: value for name, value in (("language", language), ("tag", tag)) if value})
        url = f"{self._url}{FOLDER}/feed.atom{'?' if asked else ''}{asked}"

        async def write() -> Response:
            whole = await self._articles.list_whole(wanted, _ENTRIES)
            return Response(await self._written(self._atom, url, whole), media_type=feeds.ATOM)

        return _with_etag(unless_known(request, etag) or await write(), etag)

    def _atom(self, url: str, articles: list[WholeArticle]) -> bytes:
        return feeds.atom(self._title, url, articles, self._url_of, otherwise=_EPOCH)

    async def _sitemap_index(self, request: Request) -> Response:
        starts = await self._articles.find_page_starts(PAGES_OF_A_SITEMAP)
        places = [f"{(time - _EPOCH) // _MICROSECOND}-{article_id.hex}" for time, article_id in starts]
        urls = [f"{self._url}{FOLDER}/sitemaps/{place}.xml" for place in places]
        return _unless_known(request, etag_of(urls), lambda: Response(feeds.sitemap_index(urls), media_type=feeds.XML))

    async def _sitemap(self, request: Request) -> Response:
        start = _START.fullmatch(request.path_params["start"])
        if start is None:
            raise ArticleNotFound
        try:
            after = (_EPOCH + int(start[1]) * _MICROSECOND, UUID(hex=start[2]))
        except OverflowError:
            raise ArticleNotFound from None
        pages = await self._articles.list_pages(after, PAGES_OF_A_SITEMAP)
        etag = etag_of([(each.article_id, each.slug, each.update_time) for each in pages])
        answer = unless_known(request, etag)
        if answer is None:
            answer = Response(await self._written(feeds.sitemap, pages, self._url_of), media_type=feeds.XML)
        return _with_etag(answer, etag)

    async def _written(self, write: Callable[..., bytes], *content: object) -> bytes:
        async with self._writing:
            return await asyncio.to_thread(write, *content)


def _unless_known(request: Request, etag: str, write: Callable[[], Response]) -> Response:
    """What is written, or nothing where the client has it already."""
    return _with_etag(unless_known(request, etag) or write(), etag)


def _with_etag(answer: Response, etag: str) -> Response:
    answer.headers.update({"etag": etag, "cache-control": _PUBLIC})
    return answer
