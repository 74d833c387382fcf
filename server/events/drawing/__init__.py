"""Charts of time series: as a picture, in a terminal, and as CSV."""

from server.events.drawing.chart import Chart, Dot, Line
from server.events.drawing.svg import svg_of
from server.events.drawing.table import csv_of_chart
from server.events.drawing.terminal import lines_of

__all__ = ["Chart", "Dot", "Line", "csv_of_chart", "lines_of", "svg_of"]
