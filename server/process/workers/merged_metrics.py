"""The metrics of several processes as one, in Prometheus's text format.

What came from one and the same program is added line by line: equal samples are written alike.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

_HELP, _TYPE = "# HELP ", "# TYPE "
_BEGAN = "_created"
"""How the metrics are named that say when another one began to be counted."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: the line that explains it, its kind, and its samples by their name and labels."""

    help: str
    kind: str
    samples: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """The metrics at one time, by their names."""

    families: Mapping[str, Family] = field(default_factory=dict)

    @classmethod
    def parsed(cls, text: str) -> "MetricsSnapshot":
        """Of the text format as prometheus_client writes it: help, type, and samples without a time."""
        families: dict[str, Family] = {}
        samples: dict[str, float] = {}
        explained = ""
        for line in filter(None, text.split("\n")):
            if line.startswith(_HELP):
                explained = line
            elif line.startswith(_TYPE):
                name, kind = line.removeprefix(_TYPE).split(" ")
                samples = {}
                families[name] = Family(explained, kind, samples)
            else:
                sample, _, value = line.rpartition(" ")
                samples[sample] = float(value)
        return cls(families)

    def lasting(self) -> "MetricsSnapshot":
        """What stays true of a process that has ended: what it counted, but not what was under way in it."""
        return MetricsSnapshot(
            {name: each for name, each in self.families.items() if each.kind != "gauge" or _dated(name)}
        )

    def __str__(self) -> str:
        lines: list[str] = []
        for name, family in self.families.items():
            lines += (family.help, f"{_TYPE}{name} {family.kind}")
            lines += (f"{sample} {value!r}" for sample, value in family.samples.items())
        return "".join(f"{line}\n" for line in lines)


def merged(readings: Iterable[MetricsSnapshot]) -> MetricsSnapshot:
    """The sum of each sample over all; of when a count began, the first time."""
    families: dict[str, Family] = {}
    for reading in readings:
        for name, family in reading.families.items():
            sums = dict(families[name].samples) if name in families else {}
            for sample, value in family.samples.items():
                known = sums.get(sample)
                sums[sample] = value if known is None else min(known, value) if _dated(name) else known + value
            families[name] = replace(family, samples=sums)
    return MetricsSnapshot(families)


def _dated(name: str) -> bool:
    return name.endswith(_BEGAN)
