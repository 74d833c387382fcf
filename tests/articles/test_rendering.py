"""Markdown to HTML that is safe, and processes that work within bounds."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from server.articles.rendering import Rendering
from server.articles.rendering.comparing import compared, replaced
from server.articles.rendering.markdown import MAX_SEARCHED, rendered, sanitized
from server.articles.rules.highlighting import highlighted
from storage.articles.records import MATCH_BEGIN, MATCH_END
from tests.articles.payloads import PAYLOADS


class Elements(HTMLParser):
    """The elements of HTML, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)\s*:")
ALLOWED = {
    *("a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "li", "ol", "p", "pre"),
    *("s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}


def test_markdown_becomes_html_and_text() -> None:
    html, plain = rendered("# One\n\nTwo **three** `four`\nfive ![six](https://x.example/i.png)\n\n```\nse<ven\n```\n")
    assert html == (
        "<h1>One</h1>\n<p>Two <strong>three</strong> <code>four</code>\nfive"
        ' <img src="https://x.example/i.png" alt="six"></p>\n<pre><code>se&lt;ven\n</code></pre>\n'
    )
    assert plain == "One\nTwo three four five six\nse<ven"


def test_code_is_highlighted_by_classes() -> None:
    """In a language that is known; code in any other is shown as it is."""
    assert '<span class="hl-k">def</span>' in rendered("```python\ndef f(): pass\n```\n")[0]
    assert rendered("```nonsense\n<b>\n```\n")[0] == "<pre><code>&lt;b&gt;\n</code></pre>\n"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_but_what_is_allowed_is_an_element(payload: str) -> None:
    """Whether Markdown or raw HTML reaches the sanitizer; addresses are of the web or of mail."""
    for html in (rendered(f"Text.\n\n{payload}\n")[0], sanitized(payload)):
        for tag, attributes in Elements(html).found:
            assert tag in ALLOWED, html
            assert {*attributes} <= {"href", "src", "alt", "title", "class", "rel", "start", "style"}, html
            for name in ("href", "src"):
                scheme = _SCHEME.match((attributes.get(name) or "").strip())
                assert scheme is None or scheme[1].lower() in ("http", "https", "mailto"), html
            assert "url" not in (attributes.get("style") or ""), html


def test_a_long_text_is_searched_by_its_beginning() -> None:
    _, plain = rendered("word " * 50_000)
    assert MAX_SEARCHED - 10 < len(plain) <= MAX_SEARCHED


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_match_is_the_only_element_of_what_a_search_shows(payload: str) -> None:
    text = f"{payload} word"
    html = highlighted(f"{payload} {MATCH_BEGIN}word{MATCH_END}", text)
    assert [tag for tag, _ in Elements(html).found] == ["mark"]


def test_matches_are_marked_in_the_text_with_accents() -> None:
    """Where it is not as long, the one without is shown; marks that are not closed are."""
    marked = f"Un {MATCH_BEGIN}cafe{MATCH_END} noir"
    assert highlighted(marked, "Un café noir") == "Un <mark>café</mark> noir"
    assert highlighted(marked, "Un") == "Un <mark>cafe</mark> noir"
    assert highlighted(f"a {MATCH_BEGIN}b", "a b") == "a <mark>b</mark>"
    assert highlighted(f"{MATCH_BEGIN}a{MATCH_END} & {MATCH_BEGIN}b{MATCH_END}", "a & b") == (
        "<mark>a</mark> &amp; <mark>b</mark>"
    )
    assert highlighted(f"a{MATCH_END} {MATCH_BEGIN}{MATCH_BEGIN}b{MATCH_END}", "a b") == "a <mark>b</mark>"


def test_texts_are_compared_in_hunks() -> None:
    before = "\n".join(map(str, range(20)))
    after = before.replace("\n3\n", "\nthree\n").replace("\n17\n", "\n")
    assert [(old, new, len(lines)) for old, new, lines in compared(before, after)] == [(1, 1, 8), (15, 15, 6)]
    assert compared(before, before) == replaced(before, before) == []
    assert replaced("a", "b") == [(1, 1, [("-", "a"), ("+", "b")])]


@pytest.fixture
async def rendering() -> AsyncIterator[Rendering]:
    opened = Rendering()
    yield opened
    await opened.processes.close()


async def test_a_process_is_used_again_and_one_that_dies_is_replaced(rendering: Rendering) -> None:
    assert (await rendering.render("Some text.")).plain == "Some text."
    (idle,) = rendering.processes._idle
    assert (await rendering.render("Another text.")).plain == "Another text."
    assert rendering.processes._idle == [idle]
    os.kill(idle.pid, signal.SIGKILL)
    assert (await rendering.render("The next text.")).plain == "The next text."


async def test_a_caller_that_gives_up_leaves_no_answer_to_the_next(rendering: Rendering) -> None:
    """Its process is killed, since it would answer the next text with this one's HTML."""
    await rendering.render("Some text.")
    (idle,) = rendering.processes._idle
    given_up = asyncio.create_task(rendering.render("*a_ " * 30_000))
    await asyncio.sleep(0)
    assert not rendering.processes._idle
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert idle.returncode is not None
    assert (await rendering.render("The next text.")).plain == "The next text."


async def test_processes_have_no_secrets(rendering: Rendering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKROOM_MASTER_KEY", "a secret")
    await rendering.render("Some text.")
    (idle,) = rendering.processes._idle
    assert b"a secret" not in Path(f"/proc/{idle.pid}/environ").read_bytes()  # noqa: ASYNC240 - it is no disk's
