"""Which transactions had committed at a moment: PostgreSQL's pg_snapshot, as a value."""

import re
from dataclasses import dataclass
from itertools import accumulate, pairwise

MAX_PACKED = 1400
"""In characters: two of them fit into a resume token of the 4,096 that the contract allows."""

_LARGEST = 2**63 - 1
_EPOCH = 2**32
"""Transactions are counted by this many, and the first number of each is none."""
_NUMBER = r"(?:0|[1-9][0-9]{0,18})"
_SNAPSHOT = re.compile(rf"({_NUMBER}):({_NUMBER}):((?:{_NUMBER}(?:,{_NUMBER})*)?)")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions had committed at a moment, as PostgreSQL's pg_snapshot tells it; of two, one covers the other.

    Raises ValueError where PostgreSQL would not take it.
    """

    xmin: int
    """All transactions below this one had ended."""
    xmax: int
    """None from this one on had."""
    under_way: tuple[int, ...] = ()
    """Those between that had not, in their order."""

    def __post_init__(self) -> None:
        if not 0 < self.xmin <= self.xmax <= _LARGEST or not all(each % _EPOCH for each in (self.xmin, self.xmax)):
            raise ValueError("not a snapshot")
        if any(one >= other for one, other in pairwise(self.under_way)):
            raise ValueError("not in order")
        if self.under_way and not self.xmin <= self.under_way[0] <= self.under_way[-1] < self.xmax:
            raise ValueError("not under way")

    @classmethod
    def of(cls, text: str) -> "Snapshot":
        """Reads PostgreSQL's text."""
        return cls(*_numbers(text))

    def __str__(self) -> str:
        """PostgreSQL's text."""
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, self.under_way))}"

    @classmethod
    def unpacked(cls, text: str) -> "Snapshot":
        xmin, distance, steps = _numbers(text)
        return cls(xmin, xmin + distance, tuple(accumulate(steps, initial=xmin))[1:])

    @property
    def fits(self) -> bool:
        """Whether a token can hold it; not while hundreds of transactions are under way at once."""
        return len(self.packed) <= MAX_PACKED

    @property
    def packed(self) -> str:
        """A shorter text: each number as its distance from the one before."""
        steps = (other - one for one, other in pairwise((self.xmin, *self.under_way)))
        return f"{self.xmin}:{self.xmax - self.xmin}:{','.join(map(str, steps))}"

    def covers(self, other: "Snapshot") -> bool:
        """Whether all that had committed in the other had in this one."""
        if other.xmax > self.xmax:
            return False
        known = set(other.under_way)
        return all(xid in known or xid >= other.xmax for xid in self.under_way)

    def up_to(self, transaction: int) -> "Snapshot":
        """The same for a reader who needs no transaction behind this one: those behind it count as not begun."""
        end = transaction + 1 if (transaction + 1) % _EPOCH else transaction + 2
        end = min(self.xmax, end)
        return Snapshot(min(self.xmin, end), end, tuple(xid for xid in self.under_way if xid < end))


def _numbers(text: str) -> tuple[int, int, tuple[int, ...]]:
    found = _SNAPSHOT.fullmatch(text)
    if found is None:
        raise ValueError("not a snapshot")
    return int(found[1]), int(found[2]), tuple(int(each) for each in found[3].split(",") if each)
