"""A chart as CSV: a row for each bucket, and a column for each line."""

from collections.abc import Sequence

from server.events.drawing.chart import Chart
from server.frame.csv_text import csv_of, harmless


def csv_of_chart(chart: Chart) -> bytes:
    """When each bucket begins and ends, in UTC and by the clocks of the zone, whether it is partial, and its values."""
    names = [harmless(each.name or "value") for each in chart.lines]
    rows: list[Sequence[str]] = [["start_time", "end_time", "local_start", "partial", *names]]
    for place, first in enumerate(chart.lines[0].dots if chart.lines else ()):
        local = first.start.astimezone(chart.zone).isoformat()
        about = (first.start.isoformat(), first.end.isoformat(), local, "true" if first.partial else "false")
        values = [line.dots[place].value for line in chart.lines]
        rows.append([*about, *("" if each is None else format(each, "f") for each in values)])
    return csv_of(rows)
