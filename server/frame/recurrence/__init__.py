"""Recurrences: what repeats by a rule of RFC 5545, in the local time of a zone.

A `Series` is made of a rule's text, a local start and a zone, and yields occurrences: the local time of each and its
instant. It keeps its local time over changes of the clocks.
What is refused, and by which bounds every call ends soon whatever the rule: docs/recurrences.md.
"""

from server.frame.recurrence.reading import read_rule
from server.frame.recurrence.rule import Frequency, OrdinalWeekday, RecurrenceInvalid, Rule
from server.frame.recurrence.series import Occurrence, Series

__all__ = ["Frequency", "Occurrence", "OrdinalWeekday", "RecurrenceInvalid", "Rule", "Series", "read_rule"]
