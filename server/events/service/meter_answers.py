"""The answers about meters and links to charts that are kept for repeated requests."""

from server.frame.answers import AnswerKind
from storage.events.measures import Meter

METER = AnswerKind("events.meter", Meter)
