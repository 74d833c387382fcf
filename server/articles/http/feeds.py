"""Published articles as an Atom feed (RFC 4287) and as a sitemap (sitemaps.org)."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from xml.etree import ElementTree as Xml

from storage.articles.records import PublishedPage, WholeArticle

ATOM = "application/atom+xml; charset=utf-8"
XML = "application/xml; charset=utf-8"
_ATOM_NAMES = "http://www.w3.org/2005/Atom"
_SITEMAP_NAMES = "http://www.sitemaps.org/schemas/sitemap/0.9"
_MAX_CONTENT_CHARACTERS = 64 * 1024
"""Of one entry: longer articles are in a feed by their summary alone."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""The characters that XML has no way to write."""

UrlOf = Callable[[str, str], str]
"""Where the article of a language and a slug is."""


def atom(title: str, feed_url: str, articles: Sequence[WholeArticle], url_of: UrlOf, *, otherwise: datetime) -> bytes:
    """The feed of these articles; `otherwise` is when it changed if there are none."""
    feed = Xml.Element("feed", xmlns=_ATOM_NAMES)
    _add(feed, "id", feed_url)
    _add(feed, "title", title)
    _add(feed, "updated", max(map(changed_time, articles), default=otherwise).isoformat())
    Xml.SubElement(feed, "link", rel="self", href=feed_url)
    _add(Xml.SubElement(feed, "author"), "name", title)
    for each in articles:
        _entry(feed, each, url_of)
    return _written(feed)


def changed_time(whole: WholeArticle) -> datetime:
    """When what readers see was published or saved, whichever is later."""
    return max(whole.listed.publish_time, whole.listed.head.create_time)


def sitemap_index(urls: Sequence[str]) -> bytes:
    """The parts of a sitemap by where they are."""
    index = Xml.Element("sitemapindex", xmlns=_SITEMAP_NAMES)
    for url in urls:
        _add(Xml.SubElement(index, "sitemap"), "loc", url)
    return _written(index)


def sitemap(pages: Sequence[PublishedPage], url_of: UrlOf) -> bytes:
    urls = Xml.Element("urlset", xmlns=_SITEMAP_NAMES)
    for page in pages:
        url = Xml.SubElement(urls, "url")
        _add(url, "loc", url_of(page.language, page.slug))
        _add(url, "lastmod", page.update_time.isoformat())
    return _written(urls)


def _entry(feed: Xml.Element, whole: WholeArticle, url_of: UrlOf) -> None:
    article, head = whole.listed.article, whole.listed.head
    entry = Xml.SubElement(feed, "entry", {"xml:lang": article.language})
    _add(entry, "id", f"urn:uuid:{article.id}")
    _add(entry, "title", head.title)
    Xml.SubElement(entry, "link", rel="alternate", type="text/html", href=url_of(article.language, article.slug))
    _add(entry, "published", whole.listed.publish_time.isoformat())
    _add(entry, "updated", changed_time(whole).isoformat())
    for tag in head.tags:
        Xml.SubElement(entry, "category", term=_printable(tag))
    if head.summary:
        _add(entry, "summary", head.summary)
    if len(whole.body.html) <= _MAX_CONTENT_CHARACTERS:
        _add(entry, "content", whole.body.html, type="html")


def _add(parent: Xml.Element, name: str, text: str, **attributes: str) -> None:
    Xml.SubElement(parent, name, attributes).text = _printable(text)


def _printable(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _written(root: Xml.Element) -> bytes:
    written: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return written
