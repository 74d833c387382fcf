"""Ranks between others, as many as anybody wants."""

import random
from itertools import pairwise

import pytest

from server.tasks.rules.ranking import DIGITS, MAX_RANK, WINDOW, rank_between, ranks_between


def put(ranks: list[str], place: int) -> int:
    """Puts a rank before the one at a place, and returns how many had to be renewed."""
    low, high = ranks[place - 1] if place else None, ranks[place] if place < len(ranks) else None
    count, renewed = WINDOW, 0
    while (rank := rank_between(low, high)) is None:
        begin, end = max(0, place - count), min(len(ranks), place + count)
        bounds = (ranks[begin - 1] if begin else None, ranks[end] if end < len(ranks) else None)
        if new := ranks_between(*bounds, end - begin):
            ranks[begin:end], renewed = new, end - begin
            low, high = ranks[place - 1] if place else None, ranks[place] if place < len(ranks) else None
        count *= 4
    ranks.insert(place, rank)
    return renewed


@pytest.mark.parametrize("where", ["first", "last", "second", "middle", "anywhere"])
def test_there_is_always_another_rank(where: str) -> None:
    """Wherever it is wanted, in order, and not longer than may be; hundreds come before any others are renewed."""
    drawn = random.Random(7)  # noqa: S311 - not for secrets
    ranks, renewals = list[str](), 0
    for _ in range(2000):
        place = {
            "first": 0,
            "last": len(ranks),
            "second": min(1, len(ranks)),
            "middle": len(ranks) // 2,
            "anywhere": drawn.randint(0, len(ranks)),
        }[where]
        renewals += put(ranks, place) > 0
    assert all(one < other for one, other in pairwise(ranks))
    assert max(map(len, ranks)) <= MAX_RANK
    assert set("".join(ranks)) <= set(DIGITS)
    assert renewals <= 2000 // 200


def test_the_shortest_rank_between_two_is_taken() -> None:
    """One digit where that is enough, and a step at an end; no rank ends with a zero, below which there is none."""
    assert rank_between("a", "c") == "b"
    assert rank_between("a", "b") == "aV"
    assert rank_between("a", "a1") == "a0V"
    assert rank_between(None, "1") == "0zzz"
