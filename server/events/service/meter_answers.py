"""The answers about meters and links to charts that are kept for repeated requests."""

from server.events.rules.chart_links import ChartLink
from server.frame.answers import AnswerKind
from storage.events.measures import Meter

METER = AnswerKind("events.meter", Meter)
CHART_LINK = AnswerKind("events.chart_link", ChartLink)
"""What the link permits, and not its signature."""
