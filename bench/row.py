"""One row of the table: a figure of Backroom, and what it is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

LIMIT = "the limit"


@dataclass(frozen=True, slots=True)
class Row:
    """Figures are medians over rounds; a ratio at or above its goal is good."""

    measured: str
    """The measurement, such as "PlaceOrder, one hot product, 64 callers"."""
    against: str
    """The comparison, such as "pgbench with 64 clients"; LIMIT if the goal is an absolute one."""
    unit: str
    ours: float
    peer: float
    """The other's figure; the limit, if the goal is an absolute one."""
    ratio: float
    """Of ours to the peer's, or of the peer's to ours where lower is better: the median of the rounds' ratios."""
    goal: float | None
    """The smallest good ratio; None if the row has no goal."""
    lower_is_better: bool
    spread: float
    """The largest ratio of a round less the smallest, over the median ratio; 0 of a single round."""

    @property
    def name(self) -> str:
        return f"{self.measured}, against {self.against}, {self.unit}"

    @property
    def good(self) -> bool:
        return self.goal is None or self.ratio >= self.goal

    @property
    def multiple(self) -> float:
        """Ours over the other's, whether higher or lower is better."""
        return 1 / self.ratio if self.lower_is_better else self.ratio

    @property
    def bound(self) -> str:
        """The goal of the ratio, or of our own figure if that is a limit; empty without a goal."""
        if self.goal is None:
            return ""
        if self.against == LIMIT:
            least_or_most = f"{self.peer:g} {self.unit}"
        else:
            least_or_most = f"{1 / self.goal if self.lower_is_better else self.goal:.3g}"
        return f"at {'most' if self.lower_is_better else 'least'} {least_or_most}"


def row(
    measured: str,
    unit: str,
    pairs: Sequence[tuple[float, float]],
    *,
    against: str,
    goal: float | None,
    lower_is_better: bool = False,
) -> Row:
    """From rounds of ours and the peer's, measured one right after the other."""
    ratios = [peer / ours if lower_is_better else ours / peer for ours, peer in pairs]
    ratio = median(ratios)
    return Row(
        measured,
        against,
        unit,
        ours=median(ours for ours, _ in pairs),
        peer=median(peer for _, peer in pairs),
        ratio=ratio,
        goal=goal,
        lower_is_better=lower_is_better,
        spread=(max(ratios) - min(ratios)) / ratio,
    )
