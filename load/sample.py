"""The results of a measured window."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class Refused(Exception):
    """A call was temporarily refused: by overload, a rate limit, or an unavailable server."""

    def __init__(self, code: str, retry_after: float | None = None) -> None:
        """`code` is gRPC's name of it, such as RESOURCE_EXHAUSTED; `retry_after` is in seconds, from RetryInfo."""
        super().__init__(code)
        self.code = code
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Sample:
    """The calls that ended within one window."""

    seconds: float
    """The length of the window."""
    latencies: Sequence[float]
    """The latencies of the successful calls, in seconds, sorted."""
    refusals: Sequence[float]
    """The latencies of the refused calls, in seconds, sorted."""
    unhinted: int
    """How many refusals did not say when to retry."""
    failures: Mapping[str, int]
    """How many calls failed otherwise, by a short text."""
    cost: Mapping[str, float]
    """CPU seconds within the window, by the meter's name."""

    @property
    def rate(self) -> float:
        """Answered calls a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency that this share of the answered calls did not exceed; NaN if there are none."""
        if not self.latencies:
            return math.nan
        return self.latencies[max(0, math.ceil(share * len(self.latencies)) - 1)]

    def cost_of(self, meter: str) -> float:
        """CPU seconds per answered call; NaN if there are none."""
        return self.cost[meter] / len(self.latencies) if self.latencies else math.nan
