"""One line of the table: a work, what it took here, and what it took the peer."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """Figures are medians over rounds; a ratio at or above its goal is good."""

    work: str
    unit: str
    ours: float
    peer: float
    """What the peer took; the limit, where the goal is an absolute one."""
    ratio: float
    """Of ours to the peer's, or of the peer's to ours where lower is better: the median of the rounds' ratios."""
    goal: float | None
    """The least ratio that is good; None where the row is there to be read alone."""
    lower_is_better: bool
    spread: float
    """The largest ratio of a round less the smallest, over the median ratio; 0 of a single round."""

    @property
    def good(self) -> bool:
        return self.goal is None or self.ratio >= self.goal


def row(
    work: str, unit: str, pairs: Sequence[tuple[float, float]], *, goal: float | None, lower_is_better: bool = False
) -> Row:
    """From rounds of ours and the peer's, which were measured one right after the other."""
    ratios = [peer / ours if lower_is_better else ours / peer for ours, peer in pairs]
    ratio = median(ratios)
    return Row(
        work,
        unit,
        ours=median(ours for ours, _ in pairs),
        peer=median(peer for _, peer in pairs),
        ratio=ratio,
        goal=goal,
        lower_is_better=lower_is_better,
        spread=(max(ratios) - min(ratios)) / ratio,
    )
