"""Text without accents, for searching and for slugs."""

import re
from unicodedata import combining, normalize
from uuid import UUID

MAX_SLUG = 100
_OTHERS = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "Ø": "O", "Ł": "L", "Đ": "D"}
"""Letters with strokes, which Unicode does not take apart."""
_PAIRS = {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"}
"""In slugs alone, where a letter may become two."""
_BETWEEN = re.compile(r"[^a-z0-9]+")


class _Folded(dict[int, str]):
    """What each character becomes: one character, always."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        parts = [each for each in normalize("NFKD", character) if not combining(each)]
        folded = parts[0] if len(parts) == 1 else _OTHERS.get(character, character)
        # PostgreSQL would leave out of a headline what it takes for tags and entities.
        folded = " " if folded in "<>&" else _OTHERS.get(folded, folded)
        self[code] = folded
        return folded


_TABLE = _Folded()


def folded(text: str) -> str:
    """Text without accents, of as many characters as it has in Unicode's form NFC, which it should be in."""
    return text.translate(_TABLE)


def slug_of(title: str, article_id: UUID) -> str:
    """A slug made of a title; of the article's id where nothing of the title can be part of one."""
    lower = normalize("NFC", title).lower()
    for letter, pair in _PAIRS.items():
        lower = lower.replace(letter, pair)
    words = _BETWEEN.sub("-", folded(lower)).strip("-")
    return words[:MAX_SLUG].rstrip("-") or f"article-{_short(article_id)}"


def other_slug(slug: str, article_id: UUID) -> str:
    """Another slug for a title whose own is taken."""
    ending = f"-{_short(article_id)}"
    return slug[: MAX_SLUG - len(ending)].rstrip("-") + ending


def _short(article_id: UUID) -> str:
    return article_id.hex[-12:]  # the beginning of a UUIDv7 is the time
