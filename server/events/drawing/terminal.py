"""A chart in a terminal: a bar for each bucket, below each other."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from server.events.drawing.chart import Chart, Line, Scale, scale_of, shown_number

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEAST_WIDTH = 10
"""Of the longest bar, in characters."""


def lines_of(chart: Chart, *, width: int, plain: bool = False) -> Iterator[str]:
    """The lines of text, none wider than asked for, as far as times and numbers let it be.

    `plain` draws bars in ASCII, for terminals that have no more. A bucket that is not whole has an asterisk, and a
    value that is an estimate a tilde.
    """
    yield _printable(chart.title)
    yield f"by {chart.granularity.value}, {chart.zone.key}"
    times, scale = chart.times(), scale_of(chart)
    for line in chart.lines:
        if len(chart.lines) > 1:
            yield ""
            yield _printable(line.name)
        yield from _bars(line, times, scale, width, plain=plain)
    if any(dot.partial for dot in chart.dots):
        yield "* not whole"
    if any(dot.estimated for dot in chart.dots):
        yield "~ estimated"


def _bars(line: Line, times: Sequence[str], scale: Scale, width: int, *, plain: bool) -> Iterator[str]:
    numbers = [_number(dot.value, estimated=dot.estimated) for dot in line.dots]
    wide_time, wide_number = max(map(len, times), default=0), max(map(len, numbers), default=0)
    room = max(width - wide_time - wide_number - 5, _LEAST_WIDTH)
    for time, dot, number in zip(times, line.dots, numbers, strict=True):
        mark = "*" if dot.partial else " "
        bar = _bar(dot.value, scale, room, plain=plain)
        yield f"{time:<{wide_time}}{mark} {number:>{wide_number}}  {bar}".rstrip()


def _number(value: Decimal | None, *, estimated: bool) -> str:
    if value is None:
        return "-"
    return f"~{shown_number(value)}" if estimated else shown_number(value)


def _bar(value: Decimal | None, scale: Scale, room: int, *, plain: bool) -> str:
    """From 0 on; where there are values below 0, those are to the left of it."""
    if value is None:
        return ""
    zero = scale.share(Decimal(0)) * room
    end = scale.share(value) * room
    if zero < 1:
        return _filled(end, plain=plain)
    left, right = round(min(zero, end)), round(max(zero, end))
    return " " * left + ("#" if plain else "█") * (right - left)


def _filled(length: float, *, plain: bool) -> str:
    eighths = round(length * 8)
    if plain:
        return "#" * round(eighths / 8)
    return _EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _printable(text: str) -> str:
    """Without what would steer the terminal."""
    return "".join(each if each.isprintable() else "�" for each in text)
