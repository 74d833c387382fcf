"""What differs between two texts, line by line."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

CONTEXT_LINES = 3
Hunk = tuple[int, int, list[tuple[str, str]]]
"""The numbers of its first line in both texts, from 1 on, and its lines: `=`, `-` or `+`, and the text."""


def compared(before: str, after: str) -> Sequence[Hunk]:
    """The hunks in which two texts differ, each with 3 equal lines around."""
    old, new = before.splitlines(), after.splitlines()
    groups = SequenceMatcher(None, old, new).get_grouped_opcodes(CONTEXT_LINES)
    return [
        (group[0][1] + 1, group[0][3] + 1, list(_lines(group, old, new)))
        for group in groups
        if any(tag != "equal" for tag, *_ in group)
    ]


def replaced(before: str, after: str) -> Sequence[Hunk]:
    """The same where to compare takes too long: all lines of the one text, and then all of the other."""
    lines = [("-", line) for line in before.splitlines()] + [("+", line) for line in after.splitlines()]
    return [(1, 1, lines)] if before != after else []


def _lines(
    group: Sequence[tuple[str, int, int, int, int]], old: Sequence[str], new: Sequence[str]
) -> Iterator[tuple[str, str]]:
    for tag, old_begin, old_end, new_begin, new_end in group:
        if tag == "equal":
            yield from (("=", line) for line in old[old_begin:old_end])
            continue
        yield from (("-", line) for line in old[old_begin:old_end])
        yield from (("+", line) for line in new[new_begin:new_end])
