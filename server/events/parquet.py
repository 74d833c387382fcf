"""Stored events as a file of Apache Parquet; what it is written by is an extra."""

import asyncio
import io
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from arro3.core import Array, DataType, RecordBatch
from arro3.io import write_parquet

from server.events.rules.exporting import COLUMNS, cells
from server.events.rules.judging import micros
from storage.events.records import Event

_TIMES: dict[str, Callable[[Event], datetime]] = {
    "time": lambda event: event.time,
    "receive_time": lambda event: event.receive_time,
}


async def parquet_of(events: Sequence[Event]) -> bytes:
    """A whole file, with the columns of CSV; times are timestamps in UTC, and all else is text."""
    return await asyncio.to_thread(_written, events)


def _written(events: Sequence[Event]) -> bytes:
    rows = [cells(event) for event in events]
    columns: dict[str, Any] = {
        name: _times(events, _TIMES[name]) if name in _TIMES else _texts([row[place] for row in rows])
        for place, name in enumerate(COLUMNS)
    }
    out = io.BytesIO()
    write_parquet(RecordBatch.from_pydict(columns), out, compression="zstd(3)")
    return out.getvalue()


def _texts(values: Sequence[str]) -> Array:
    return Array(values, type=DataType.utf8())


def _times(events: Sequence[Event], of: Callable[[Event], datetime]) -> Array:
    since = Array([micros(of(event)) for event in events], type=DataType.int64())
    return since.cast(DataType.timestamp("us", tz="UTC"))
