"""Which promotions were seen: each begins a timeline with a higher number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Seen: TypeAlias = Mapping[int, int]
"""The newest timeline that was seen until some moment, by the system's identifier."""


@dataclass(frozen=True, slots=True)
class HostStatus:
    """What a host says of itself."""

    system: int
    timeline: int
    """0 for a standby."""

    def is_newer_than(self, other: "HostStatus") -> bool:
        """Whether this one was promoted since the other was."""
        return self.system == other.system and self.timeline > other.timeline


class Timelines:
    """The newest timeline of each system that one process has had a connection to."""

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}

    @property
    def seen(self) -> Seen:
        """As they are now."""
        return dict(self._newest)

    def newest(self, system: int) -> int:
        """0 where none was seen."""
        return self._newest.get(system, 0)

    def record(self, host: HostStatus) -> bool:
        """Returns whether the host is the first that was seen after a promotion."""
        newest = self.newest(host.system)
        self._newest[host.system] = max(host.timeline, newest)
        return host.timeline > newest > 0

    def has_promotion_since(self, seen: Seen) -> bool:
        """Whether a promotion was seen since then."""
        return any(self.newest(system) > timeline for system, timeline in seen.items())
