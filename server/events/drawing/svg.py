"""A chart as a picture that stands by itself: readable in light and dark, by eye and by a screen reader."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from server.events.drawing.chart import Chart, Dot, Line, Scale, scale_of, shown_number

CONTENT_TYPE = "image/svg+xml; charset=utf-8"
STYLE = """
:root{color-scheme:light dark}
.paper{fill:#fff}.ink{fill:#1b1b1b}.soft{fill:#595959}.grid{stroke:#d9d9d9}.axis{stroke:#595959}
.c0{--c:#1d4f91}.c1{--c:#b3261e}.c2{--c:#2f6f3e}.c3{--c:#7a2e8e}.c4{--c:#9a4c00}.c5{--c:#00677d}
.bar{fill:var(--c)}.line{fill:none;stroke:var(--c);stroke-width:2}.dot{fill:var(--c)}
.partial{fill-opacity:.45}
text{font:13px system-ui,sans-serif}.title{font-size:18px;font-weight:600}
@media(prefers-color-scheme:dark){
.paper{fill:#16181c}.ink{fill:#ececec}.soft{fill:#b4b4b4}.grid{stroke:#3a3d42}.axis{stroke:#b4b4b4}
.c0{--c:#7fb2f0}.c1{--c:#f2938c}.c2{--c:#86cf97}.c3{--c:#d3a0e3}.c4{--c:#eeb06f}.c5{--c:#72cbdf}}
"""
_WIDTH, _HEIGHT = 960, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 96, 24, 64, 72
_ROW = 20
"""Of the legend."""
_COLORS = 6
_DASHES = ("", "8 4", "2 4", "12 4 2 4")
"""Lines differ by more than their colors."""
_MAX_TIMES = 8
_MAX_LEGEND = 60
_TIME_WIDTH = 100
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""The characters that XML has no way to write."""


def svg_of(chart: Chart) -> bytes:
    """The picture: bars of one series, and lines of several."""
    legend = chart.lines if len(chart.lines) > 1 else ()
    height = _HEIGHT + _ROW * len(legend) + (10 if legend else 0)
    root = Xml.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_WIDTH} {height}",
            "width": str(_WIDTH),
            "height": str(height),
            "role": "img",
            "aria-labelledby": "title desc",
        },
    )
    _add(root, "title", chart.title, id="title")
    _add(root, "desc", _description(chart), id="desc")
    _add(root, "style", STYLE)
    Xml.SubElement(root, "rect", {"class": "paper", "width": "100%", "height": "100%"})
    _text(root, chart.title, _LEFT, 34, "ink title")
    scale = scale_of(chart)
    _draw_values(root, scale)
    _draw_times(root, chart)
    if len(chart.lines) == 1:
        _draw_bars(root, chart.lines[0].dots, scale)
    else:
        for place, line in enumerate(chart.lines):
            _draw_line(root, line, scale, place)
    _draw_legend(root, legend)
    written: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _description(chart: Chart) -> str:
    """What a screen reader says: what is drawn, its span of time, and each line's least and greatest value."""
    times = chart.times()
    if not times:
        return "There is nothing to draw."
    every = f"By {chart.granularity.value}, in the time zone {chart.zone.key}, from {times[0]} to {times[-1]}."
    parts = [every, *(_said(line, times) for line in chart.lines)]
    if any(dot.partial for dot in chart.dots):
        parts.append("Pale ones are not whole.")
    if any(dot.estimated for dot in chart.dots):
        parts.append("Some values are estimates.")
    return " ".join(parts)


def _said(line: Line, times: Sequence[str]) -> str:
    values = [(dot.value, time) for dot, time in zip(line.dots, times, strict=True) if dot.value is not None]
    named = f"{line.name}: " if line.name else ""
    if not values:
        return f"{named}no values."
    (low, low_time), (high, high_time) = min(values), max(values)
    last = shown_number(values[-1][0])
    return f"{named}least {shown_number(low)} at {low_time}, greatest {shown_number(high)} at {high_time}, last {last}."


def _draw_values(root: Xml.Element, scale: Scale) -> None:
    for tick in scale.ticks():
        y = _y(scale.share(tick))
        kind = "axis" if tick == 0 else "grid"
        places = {"x1": str(_LEFT), "x2": str(_WIDTH - _RIGHT), "y1": f"{y:.1f}", "y2": f"{y:.1f}"}
        Xml.SubElement(root, "line", {"class": kind, **places})
        _text(root, shown_number(tick), _LEFT - 8, y + 4, "soft", anchor="end")


def _draw_times(root: Xml.Element, chart: Chart) -> None:
    times = chart.times()
    # So that no label is written over another.
    every = max(1, -(-len(times) // _MAX_TIMES), round(_TIME_WIDTH / max(1.0, _slot(len(times)))))
    for place in range(0, len(times), every):
        x = _x(place + 0.5, len(times))
        _text(root, times[place], x, _HEIGHT - _BOTTOM + 22, "soft", anchor="middle")
    _text(root, f"By {chart.granularity.value}, {chart.zone.key}", _LEFT, _HEIGHT - 16, "soft")


def _draw_bars(root: Xml.Element, dots: Sequence[Dot], scale: Scale) -> None:
    gap = 0.15 * _slot(len(dots))
    zero = _y(scale.share(scale.low if scale.low > 0 else scale.low * 0))
    bars = Xml.SubElement(root, "g", {"class": "c0"})
    for place, dot in enumerate(dots):
        if dot.value is None:
            continue
        y = _y(scale.share(dot.value))
        places = {
            "x": f"{_x(place, len(dots)) + gap:.2f}",
            "y": f"{min(y, zero):.2f}",
            "width": f"{_slot(len(dots)) - 2 * gap:.2f}",
            "height": f"{abs(y - zero):.2f}",
        }
        Xml.SubElement(bars, "rect", {"class": f"bar{' partial' if dot.partial else ''}", **places})


def _draw_line(root: Xml.Element, line: Line, scale: Scale, place: int) -> None:
    group = Xml.SubElement(root, "g", {"class": f"c{place % _COLORS}"})
    run: list[str] = []
    for number, dot in enumerate([*line.dots, None]):
        if dot is None or dot.value is None:
            _draw_run(group, run, place)
            run = []
            continue
        x, y = _x(number + 0.5, len(line.dots)), _y(scale.share(dot.value))
        run.append(f"{x:.2f},{y:.2f}")
        kind = f"dot{' partial' if dot.partial else ''}"
        Xml.SubElement(group, "circle", {"class": kind, "cx": f"{x:.2f}", "cy": f"{y:.2f}", "r": "2.5"})


def _draw_run(group: Xml.Element, run: Sequence[str], place: int) -> None:
    if len(run) > 1:
        line = Xml.SubElement(group, "polyline", {"class": "line", "points": " ".join(run)})
        if dash := _DASHES[place // _COLORS % len(_DASHES)] or _DASHES[place % len(_DASHES)]:
            line.set("stroke-dasharray", dash)


def _draw_legend(root: Xml.Element, lines: Sequence[Line]) -> None:
    for place, line in enumerate(lines):
        y = _HEIGHT + 10 + _ROW * place
        group = Xml.SubElement(root, "g", {"class": f"c{place % _COLORS}"})
        _draw_run(group, [f"{_LEFT},{y - 4}", f"{_LEFT + 32},{y - 4}"], place)
        name = line.name if len(line.name) <= _MAX_LEGEND else f"{line.name[: _MAX_LEGEND - 1]}…"
        _text(root, name, _LEFT + 42, y, "ink")


def _slot(number: int) -> float:
    """How wide each of so many buckets is."""
    return (_WIDTH - _LEFT - _RIGHT) / max(1, number)


def _x(place: float, number: int) -> float:
    return _LEFT + place * _slot(number)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _text(root: Xml.Element, text: str, x: float, y: float, kind: str, *, anchor: str = "start") -> None:
    _add(root, "text", text, **{"class": kind, "x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor})


def _add(parent: Xml.Element, name: str, text: str, **attributes: str) -> None:
    Xml.SubElement(parent, name, attributes).text = _NOT_XML.sub("�", text)
