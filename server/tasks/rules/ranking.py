"""Ranks: texts that sort as bytes do, between any two of which there is another one, as long as one may be so long.

A rank is a fraction in the digits 0-9A-Za-z. A task that is put at an end gets eight digits, a step away from the one
there; one that is put between two others gets the shortest text near the middle. Where that is too long, the ranks
around it are renewed in the same order.
"""

from collections.abc import Sequence

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MAX_RANK = 64
"""In digits."""
WINDOW = 32
"""How many tasks on either side get other ranks first; where that is not enough, four times as many, and so on."""
BEHIND_ALL = "~"
"""Sorts behind every rank."""

_BASE = len(DIGITS)
_HEAD = 8
_STEP = _BASE**4
"""Between two tasks that were put at an end: room for 24 halvings before ranks grow longer."""
_SPACE = _BASE**_HEAD
_MIDDLE = _SPACE // 2


def rank_between(low: str | None, high: str | None) -> str | None:
    """A rank between two others, None being an end; None where there is none that is short enough."""
    if low is not None and high is not None:
        return _middle(low, high)
    if low is None and high is None:
        return _written(_MIDDLE)
    head = _head(low or high or "") + (_STEP if high is None else -_STEP)
    return _written(head) if 0 < head < _SPACE else _middle(low or "", high)


def ranks_between(low: str | None, high: str | None, count: int) -> Sequence[str] | None:
    """So many ranks between two others, in their order and as far from each other as can be; None where they are too
    close."""
    for digits in range(_HEAD, MAX_RANK // 2):
        first = _number(low or "", digits)
        last = _number(high, digits) if high is not None else _BASE**digits
        step = (last - first) // (count + 1)
        # Room for eight digits' halvings between any two.
        if step >= _BASE**4:
            return [_text(first + step * place, digits) for place in range(1, count + 1)]
    return None


def _middle(low: str, high: str | None) -> str | None:
    for digits in range(1, MAX_RANK + 1):
        first = _number(low, digits)
        last = _number(high, digits) if high is not None else _BASE**digits
        middle = (first + last) // 2
        found = _text(middle, digits)
        if found > low and (high is None or found < high) and found.strip(DIGITS[0]):
            return found
    return None


def _head(rank: str) -> int:
    return _number(rank, _HEAD)


def _written(head: int) -> str:
    return _text(head, _HEAD)


def _number(rank: str, digits: int) -> int:
    """The first digits of a rank as a number."""
    number = 0
    for place in range(digits):
        number = number * _BASE + (DIGITS.index(rank[place]) if place < len(rank) else 0)
    return number


def _text(number: int, digits: int) -> str:
    """A number as digits, without zeros at its end: none lies between a rank and the same with zeros behind it."""
    found = []
    for _ in range(digits):
        number, digit = divmod(number, _BASE)
        found.append(DIGITS[digit])
    return "".join(reversed(found)).rstrip(DIGITS[0])
