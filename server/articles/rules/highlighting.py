"""What a search matched, as HTML: plain text is escaped, and only then is anything around it an element."""

import re
from html import escape

from storage.articles.records import MATCH_BEGIN, MATCH_END

_TEXT = f"[^{MATCH_BEGIN}{MATCH_END}]*"
_MARKED = re.compile(f"(?:{_TEXT}{MATCH_BEGIN}{_TEXT}{MATCH_END})*{_TEXT}")


def highlighted(marked: str, text: str) -> str:
    """Text with its matches in <mark>, which are marked in the same text without accents.

    Both are of as many characters, apart from the marks; where they are not, the one without accents is shown.
    """
    plain = marked.replace(MATCH_BEGIN, "").replace(MATCH_END, "")
    if text == plain and _MARKED.fullmatch(marked):  # as of a text without accents: in half of the time
        return escape(marked).replace(MATCH_BEGIN, "<mark>").replace(MATCH_END, "</mark>")
    shown = text if len(text) == len(plain) else plain
    parts: list[str] = []
    place, within = 0, False
    for piece in _pieces(marked):
        if piece in (MATCH_BEGIN, MATCH_END):
            if within != (piece == MATCH_BEGIN):
                within = piece == MATCH_BEGIN
                parts.append("<mark>" if within else "</mark>")
            continue
        parts.append(escape(shown[place : place + len(piece)]))
        place += len(piece)
    return "".join(parts) + ("</mark>" if within else "")


def _pieces(marked: str) -> list[str]:
    split = marked.replace(MATCH_BEGIN, f"\0{MATCH_BEGIN}\0").replace(MATCH_END, f"\0{MATCH_END}\0")
    return [piece for piece in split.split("\0") if piece]
