"""Stored events as rows of CSV."""

from collections.abc import Sequence

import orjson

from server.frame import csv_text
from storage.events.records import Event

COLUMNS = ("time", "type", "source", "id", "subject", "data", "attributes", "receive_time")


def csv_of(events: Sequence[Event], *, header: bool) -> bytes:
    """Rows of CSV, in the order of the columns; before a text that could be a formula there is an apostrophe.

    Times are RFC 3339 in UTC, data and attributes are JSON.
    """
    rows = [[csv_text.harmless(cell) for cell in cells(event)] for event in events]
    return csv_text.csv_of([COLUMNS, *rows] if header else rows)


def cells(event: Event) -> Sequence[str]:
    """In the order of the columns."""
    attributes = orjson.dumps(event.attributes, option=orjson.OPT_SORT_KEYS).decode() if event.attributes else ""
    names = (event.type, event.source, event.id, event.subject)
    return (event.time.isoformat(), *names, event.data, attributes, event.receive_time.isoformat())
