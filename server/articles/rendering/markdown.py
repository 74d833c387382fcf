"""Markdown to HTML that is safe to put into a page, and to its text alone.

HTML in Markdown is text. What the renderer makes is sanitized all the same, by a list of what is allowed, so that no
fault of the one alone lets anything through.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from unicodedata import normalize

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

_PREFIX = "hl-"
_MAX_HIGHLIGHTED = 20_000
"""In characters: longer code is shown without colors."""
MAX_SEARCHED = 80_000
"""In characters: so much of a text can be searched. PostgreSQL takes no more than 1 MiB of words for one document."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")
_SPACES = re.compile(r"\s+")

_TAGS = {
    *("a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "li", "ol", "p", "pre"),
    *("s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title"},
    "ol": {"start"},
    "td": {"style"},
    "th": {"style"},
}
_CLASSES = {"span": {f"{_PREFIX}{short}" for short in STANDARD_TYPES.values() if short}}
_FORMATTER = HtmlFormatter(nowrap=True, classprefix=_PREFIX)  # type: ignore[no-untyped-call]  # nothing of Pygments is typed


def _highlighted(code: str, language: str, _attributes: str) -> str:
    """Code with its words in classes; empty, which shows it as it is, where the language is unknown."""
    if not language or len(code) > _MAX_HIGHLIGHTED:
        return ""
    try:
        lexer = get_lexer_by_name(language[:50])  # type: ignore[no-untyped-call]  # as above
        return str(highlight(code, lexer, _FORMATTER))  # type: ignore[no-untyped-call]  # as above
    except ClassNotFound:
        return ""


_PARSER = MarkdownIt("commonmark", {"html": False, "highlight": _highlighted}).enable(["table", "strikethrough"])


def rendered(content: str) -> tuple[str, str]:
    """The HTML of Markdown, and its text alone in Unicode's form NFC, of which no more than can be searched."""
    tokens = _PARSER.parse(_CONTROL.sub("", content.replace("\r\n", "\n").replace("\r", "\n")))
    html = _PARSER.renderer.render(tokens, _PARSER.options, {})
    return sanitized(html), _plain(tokens)


def sanitized(html: str) -> str:
    """What is allowed of HTML, and nothing else."""
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        allowed_classes=_CLASSES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        filter_style_properties={"text-align"},
    )


def _plain(tokens: Sequence[Token]) -> str:
    parts: list[str] = []
    size = 0
    for text in _texts(tokens):
        parts.append(_SPACES.sub(" ", text).strip())
        size += len(parts[-1]) + 1
        if size > MAX_SEARCHED:
            break
    whole = normalize("NFC", "\n".join(part for part in parts if part))
    return whole[:MAX_SEARCHED]


def _texts(tokens: Sequence[Token]) -> Iterator[str]:
    """The text of each block."""
    for token in tokens:
        if token.type in ("fence", "code_block"):
            yield token.content
        elif token.type == "inline":
            yield "".join(_inline(token.children or ()))


def _inline(tokens: Sequence[Any]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("text", "code_inline"):
            yield token.content
        elif token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type == "image":
            yield from _inline(token.children or ())
