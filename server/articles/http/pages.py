"""An article as a page of HTML that runs no script, whatever is in it."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from html import escape

from storage.articles.records import Translation

_STYLE = """
body{margin:2rem auto;max-width:42rem;padding:0 1rem;font:1.05rem/1.6 system-ui,sans-serif;color:#1b1b1b}
img{max-width:100%}pre{overflow-x:auto;padding:1rem;background:#f5f5f3}code{font:.9em ui-monospace,monospace}
table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.2rem .6rem}blockquote{border-left:3px solid #bbb;
margin-left:0;padding-left:1rem}.hl-k,.hl-kn,.hl-kc,.hl-kd,.hl-kt,.hl-ow{color:#7a2e8e}.hl-s,.hl-s1,.hl-s2,.hl-sd
{color:#2f6f3e}.hl-c,.hl-c1,.hl-cm{color:#767676}.hl-m,.hl-mi,.hl-mf{color:#9a4c00}.hl-nf,.hl-nc{color:#1d4f91}
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

SECURE: Mapping[str, str] = {
    "content-security-policy": (
        f"default-src 'none'; img-src http: https:; style-src 'sha256-{_DIGEST}'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'; sandbox"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""Of each answer."""


def page(
    *,
    language: str,
    title: str,
    summary: str,
    html: str,
    tags: tuple[str, ...] = (),
    publish_time: datetime | None = None,
    canonical: str = "",
    translations: tuple[tuple[Translation, str], ...] = (),
) -> str:
    """The page; `html` has been sanitized, and all else is text. Translations have their addresses beside them."""
    return "".join(
        (
            f'<!doctype html>\n<html lang="{escape(language)}">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>{escape(title)}</title>\n",
            *_links(summary, language, canonical, translations),
            f"<style>{_STYLE}</style>\n</head>\n<body>\n<article>\n<h1>{escape(title)}</h1>\n",
            *_byline(tags, publish_time),
            f"{html}</article>\n</body>\n</html>\n",
        )
    )


def _links(
    summary: str, language: str, canonical: str, translations: tuple[tuple[Translation, str], ...]
) -> Iterator[str]:
    if summary:
        yield f'<meta name="description" content="{escape(summary)}">\n'
    if canonical:
        yield f'<link rel="canonical" href="{escape(canonical)}">\n'
    if translations:
        yield f'<link rel="alternate" hreflang="{escape(language)}" href="{escape(canonical)}">\n'
    for other, url in translations:
        yield f'<link rel="alternate" hreflang="{escape(other.language)}" href="{escape(url)}">\n'


def _byline(tags: tuple[str, ...], publish_time: datetime | None) -> Iterator[str]:
    if publish_time is not None:
        yield f'<p><time datetime="{publish_time.isoformat()}">{publish_time:%Y-%m-%d}</time>'
        yield f" {escape(' · '.join(tags))}</p>\n" if tags else "</p>\n"
