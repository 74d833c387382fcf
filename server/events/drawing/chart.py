from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from server.events.rules.windows import Granularity
from server.frame.local_time import local_of

_DAY = timedelta(days=1)
_PLAIN_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Dot:
    """What is drawn for one bucket."""

    start: datetime
    end: datetime
    value: Decimal | None
    """None where there is nothing to say."""
    partial: bool = False
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One series, or one percentile of it."""

    name: str
    dots: Sequence[Dot]


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: lines over the same buckets."""

    title: str
    granularity: Granularity
    zone: ZoneInfo
    lines: Sequence[Line]

    @property
    def dots(self) -> Iterator[Dot]:
        return (dot for line in self.lines for dot in line.dots)

    def times(self) -> Sequence[str]:
        """When each bucket begins, by the clocks of the zone; with the offset from UTC where a time comes twice."""
        dots = self.lines[0].dots if self.lines else ()
        shown = [self._time(each) for each in dots]
        seen = {text for text, other in pairwise(shown) if text == other} | {
            text for text in set(shown) if self.granularity in _CLOCK and shown.count(text) > 1
        }
        return [
            f"{text} {each.start.astimezone(self.zone):%z}" if text in seen else text
            for text, each in zip(shown, dots, strict=True)
        ]

    def _time(self, dot: Dot) -> str:
        local = local_of(dot.start, self.zone)
        return local.strftime(_FORMS.get(self.granularity, "%Y-%m-%d"))


_CLOCK = (Granularity.MINUTE, Granularity.HOUR)
_FORMS = {Granularity.MINUTE: "%Y-%m-%d %H:%M", Granularity.HOUR: "%Y-%m-%d %H:%M", Granularity.YEAR: "%Y"}


@dataclass(frozen=True, slots=True)
class Scale:
    """A line of numbers, from a round one below all of them to a round one above."""

    low: Decimal
    high: Decimal
    step: Decimal

    def share(self, value: Decimal) -> float:
        """Where a value is on it: 0 at its beginning, and 1 at its end."""
        return float((value - self.low) / (self.high - self.low))

    def ticks(self) -> Sequence[Decimal]:
        number = int((self.high - self.low) / self.step)
        return [self.low + place * self.step for place in range(number + 1)]


def scale_of(chart: Chart, *, ticks: int = 5) -> Scale:
    """A scale for all values of a chart, which has 0 on it."""
    values = [dot.value for dot in chart.dots if dot.value is not None]
    low, high = min([*values, Decimal(0)]), max([*values, Decimal(0)])
    if low == high:
        high = Decimal(1)
    rough = (high - low) / ticks
    power = Decimal(1).scaleb(rough.adjusted())
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    return Scale(
        (low / step).to_integral_value(ROUND_FLOOR) * step, (high / step).to_integral_value(ROUND_CEILING) * step, step
    )


def shown_number(value: Decimal) -> str:
    """A number as people read it: with commas, and of a very large or small one its first digits and its power."""
    if value and not -4 <= value.adjusted() < _PLAIN_DIGITS:
        return f"{value:.3e}"
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
