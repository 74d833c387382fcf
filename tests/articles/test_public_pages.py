"""What readers get over HTTP: pages, the feed, the sitemap, and previews by a link."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID
from xml.etree import ElementTree as Xml

import httpx
import pytest

from backroom.articles.v1 import article_service_pb2 as pb
from backroom.identity.v1 import access_service_pb2 as access_pb
from server.articles.rules.links import PreviewLink, holds_good
from storage.articles.store import ARTICLES
from tests.articles.calling import changed, fresh, made, publish, published, unpublish
from tests.fixtures.servers import Api, Running, refusal

_ATOM = {"atom": "http://www.w3.org/2005/Atom"}
_SITEMAP = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9"}
_URL = "http://localhost:8080"


@pytest.fixture
async def author(server: Running) -> Api:
    return await server.sign_in("staff")


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.http, timeout=60) as client:
        yield client


async def previewed(api: Api, article_id: str, **rest: int) -> str:
    request = pb.CreatePreviewLinkRequest(request_id=fresh(), article_id=article_id, **rest)
    path: str = (await api.articles.CreatePreviewLink(request)).path
    return path


async def test_a_published_article_is_a_page_that_runs_no_script(author: Api, http: httpx.AsyncClient) -> None:
    """Who has it already is told so, until it changes; a draft is not there."""
    article = await published(author, title="Tea & <cake>", tags=["news"], summary='"In short"')
    answer = await http.get("/articles/en/tea-cake")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<h1>Tea &amp; &lt;cake&gt;</h1>" in answer.text
    assert '<meta name="description" content="&quot;In short&quot;">' in answer.text
    assert f'<link rel="canonical" href="{_URL}/articles/en/tea-cake">' in answer.text
    assert "<p>Some <em>text</em> to be read.</p>" in answer.text
    known = {"if-none-match": answer.headers["etag"]}
    again = await http.get("/articles/en/tea-cake", headers=known)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    await changed(author, article.article_id, title="Draft", content="Nobody sees this yet.")
    assert (await http.get("/articles/en/tea-cake", headers=known)).status_code == 304
    await publish(author, article.article_id)
    assert "Nobody sees this yet." in (await http.get("/articles/en/tea-cake", headers=known)).text
    await unpublish(author, article.article_id)
    gone = await http.get("/articles/en/tea-cake")
    assert (gone.status_code, gone.text) == (404, "Nothing is published here.\n")


async def test_an_earlier_slug_leads_to_the_present_one(author: Api, http: httpx.AsyncClient) -> None:
    article = await published(author, slug="before")
    await changed(author, article.article_id, slug="between")
    await changed(author, article.article_id, slug="after")
    for earlier in ("before", "between"):
        moved = await http.get(f"/articles/en/{earlier}")
        assert (moved.status_code, moved.headers["location"]) == (301, f"{_URL}/articles/en/after")
    assert (await http.get("/articles/en/after")).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["en/none", "EN/none", "en/%00", "en/a.b", "xx-yy/none", "en/" + "x" * 200, "previews/x.y", "sitemaps/1.xml"],
)
async def test_what_is_not_published_is_answered_alike(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(f"/articles/{path}")
    assert (answer.status_code, answer.text) == (404, "Nothing is published here.\n")


async def test_pages_name_their_translations(author: Api, http: httpx.AsyncClient) -> None:
    english = await published(author, title="Hello")
    german = await made(author, language="de", title="Hallo", original_id=english.article_id)
    assert "hreflang" not in (await http.get("/articles/en/hello")).text
    await publish(author, german.article_id)
    for path, other in (("en/hello", "de"), ("de/hallo", "en")):
        page = (await http.get(f"/articles/{path}")).text
        assert set(re.findall(r'hreflang="([a-z]+)"', page)) == {"en", "de"}, other


async def test_the_feed_has_the_latest_published_articles(author: Api, http: httpx.AsyncClient) -> None:
    """Of a tag or a language where that is asked for; who has it already is told so."""
    first = await published(author, title="First <b>", tags=["a&b"], summary="In short")
    await published(author, title="Zweiter", language="de")
    await made(author, title="Draft")
    answer = await http.get("/articles/feed.atom")
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
    feed = Xml.fromstring(answer.content)  # noqa: S314 - it is ours
    entries = feed.findall("atom:entry", _ATOM)
    assert [each.findtext("atom:title", "", _ATOM) for each in entries] == ["Zweiter", "First <b>"]
    assert entries[1].findtext("atom:id", "", _ATOM) == f"urn:uuid:{first.article_id}"
    content = entries[1].find("atom:content", _ATOM)
    assert content is not None
    assert (content.get("type"), content.text) == ("html", first.html)
    assert [each.get("term") for each in entries[1].findall("atom:category", _ATOM)] == ["a&b"]
    link = entries[1].find("atom:link", _ATOM)
    assert link is not None
    assert link.get("href") == f"{_URL}/articles/en/{first.slug}"
    known = await http.get("/articles/feed.atom", headers={"if-none-match": answer.headers["etag"]})
    assert known.status_code == 304
    for query, titles in (("language=de", ["Zweiter"]), ("tag=A%26B", ["First <b>"]), ("tag=none", [])):
        some = Xml.fromstring((await http.get(f"/articles/feed.atom?{query}")).content)  # noqa: S314 - it is ours
        assert [each.text for each in some.findall("atom:entry/atom:title", _ATOM)] == titles


async def test_the_sitemap_leads_to_every_published_article(author: Api, http: httpx.AsyncClient) -> None:
    ones = [await published(author, title=f"Article {each}") for each in range(3)]
    await made(author, title="Draft")
    index = Xml.fromstring((await http.get("/articles/sitemap.xml")).content)  # noqa: S314 - it is ours
    (part,) = [each.text or "" for each in index.findall("s:sitemap/s:loc", _SITEMAP)]
    answer = await http.get(part.removeprefix(_URL))
    urls = Xml.fromstring(answer.content)  # noqa: S314 - it is ours
    found = [each.text for each in urls.findall("s:url/s:loc", _SITEMAP)]
    assert found == [f"{_URL}/articles/en/{each.slug}" for each in ones]
    known = await http.get(part.removeprefix(_URL), headers={"if-none-match": answer.headers["etag"]})
    assert known.status_code == 304


async def test_a_preview_link_shows_one_revision_until_it_is_revoked(
    author: Api, service: Api, http: httpx.AsyncClient
) -> None:
    """Not a later one; nothing may keep or find it."""
    draft = await made(author, title="Draft")
    path = await previewed(author, draft.article_id)
    await changed(author, draft.article_id, title="Later")
    answer = await http.get(path)
    assert answer.status_code == 200
    assert "<h1>Draft</h1>" in answer.text
    assert answer.headers["cache-control"] == "private, no-store"
    assert (answer.headers["x-robots-tag"], answer.headers["referrer-policy"]) == ("noindex", "no-referrer")
    assert (await http.get(path[:-1] + ("A" if path[-1] != "A" else "B"))).status_code == 404
    revoke = pb.RevokePreviewLinksRequest(request_id=fresh(), article_id=draft.article_id)
    await service.articles.RevokePreviewLinks(revoke)
    assert (await http.get(path)).status_code == 404
    assert "<h1>Later</h1>" in (await http.get(await previewed(author, draft.article_id))).text


async def test_a_preview_link_ends_with_the_rights_of_whoever_made_it(
    author: Api, admin: Api, http: httpx.AsyncClient
) -> None:
    draft = await made(author)
    path = await previewed(author, draft.article_id)
    assert (await http.get(path)).status_code == 200
    revoke = access_pb.RevokeRoleRequest(account_id=str(author.account_id), role="staff")
    await admin.access.RevokeRole(revoke)
    assert (await http.get(path)).status_code == 404


async def test_a_preview_link_ends_by_itself(server: Running, author: Api) -> None:
    draft = await made(author)
    async with server.database.store(ARTICLES).reading() as reading:
        found = await reading.articles.find_latest(UUID(draft.article_id))
    assert found is not None
    now = datetime.now(UTC)
    link = PreviewLink(found.id, 1, found.article.author_id, found.article.link_version, int(now.timestamp()))
    rights = frozenset({"articles.write"})
    assert holds_good(link, found.article, rights, now - timedelta(seconds=2))
    assert not holds_good(link, found.article, rights, now + timedelta(seconds=1))
    request = pb.CreatePreviewLinkRequest(article_id=draft.article_id, valid_minutes=10081)
    assert [*(await refusal(author.articles.CreatePreviewLink(request))).fields] == ["valid_minutes"]
