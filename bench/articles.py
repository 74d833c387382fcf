"""The articles that are read and searched: the same ones for each system, with common words and rare ones."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

_SEED = 20_111_205
_SYLLABLES = ("ba", "do", "ki", "lu", "me", "no", "pa", "ri", "so", "tu", "ve", "za")
_VOCABULARY = 20_000
_WORDS = 120
"""Of one article."""
_QUERIES = 500


@dataclass(frozen=True, slots=True)
class BenchArticle:
    number: int
    title: str
    text: str

    @property
    def slug(self) -> str:
        return f"article-{self.number}"

    @property
    def html(self) -> str:
        return f"<p>{self.text}</p>\n"


def articles(count: int) -> Iterator[BenchArticle]:
    """So many, the same each time."""
    chosen = random.Random(_SEED)  # noqa: S311 - nothing is kept secret by it
    words = [_word(number) for number in range(_VOCABULARY)]
    weights = list(accumulate(1 / (rank + 3) for rank in range(_VOCABULARY)))
    for number in range(count):
        found = chosen.choices(words, cum_weights=weights, k=_WORDS + 5)
        yield BenchArticle(number, " ".join(found[:5]), " ".join(found[5:]))


def queries(count: int) -> Sequence[str]:
    """What is searched for among so many articles: two words of one of them, which so finds it, and others."""
    chosen = random.Random(_SEED)  # noqa: S311 - nothing is kept secret by it
    wanted = set(chosen.sample(range(count), min(_QUERIES, count)))
    return [" ".join(chosen.sample(each.text.split(), 2)) for each in articles(count) if each.number in wanted]


def _word(number: int) -> str:
    """Another one for each number; the common ones are short."""
    syllables = ""
    number += len(_SYLLABLES)
    while number:
        number, place = divmod(number, len(_SYLLABLES))
        syllables += _SYLLABLES[place]
    return syllables
