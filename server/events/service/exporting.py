from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from server.events.errors import ParquetNotInstalled
from server.events.rules.exporting import csv_of
from server.events.service.slow_readings import SlowReadings
from storage.events.records import Event, EventFilter

PIECE_BYTES = 512 * 1024
_PAGE_EVENTS = 500
"""Read in one statement."""
FILE_EVENTS = 100_000
_FILE_BYTES = 32 * 1024 * 1024
"""Of the data and the attributes in one file of Parquet, which is in memory until it is whole."""


class ExportFormat(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class ExportPiece:
    """The next bytes of a file, and how far the export is."""

    file_number: int
    content: bytes
    exported: int
    estimated: int


class Exporting:
    """Writes stored events into files, page by page: no snapshot is held, however long it takes."""

    def __init__(
        self, readings: SlowReadings, *, page_size: int = _PAGE_EVENTS, file_events: int = FILE_EVENTS
    ) -> None:
        """`page_size` and `file_events`, of a file of Parquet, are in events."""
        self._readings = readings
        self._page_size = page_size
        self._file_events = file_events

    async def export(
        self, wanted: EventFilter, period: tuple[datetime | None, datetime | None], kind: ExportFormat
    ) -> AsyncIterator[ExportPiece]:
        """The pieces in their order; raises ParquetNotInstalled."""
        write = self._parquet if kind is ExportFormat.PARQUET else self._csv
        async with self._readings.reading() as reading:
            estimated = await reading.exports.estimate(wanted, period)
        async for number, content, exported, last in write(wanted, period):
            total = exported if last else max(estimated, exported)
            pieces = [content[start : start + PIECE_BYTES] for start in range(0, len(content), PIECE_BYTES)]
            for piece in pieces or [b""]:
                yield ExportPiece(number, piece, exported, total)

    async def _csv(
        self, wanted: EventFilter, period: tuple[datetime | None, datetime | None]
    ) -> AsyncIterator[tuple[int, bytes, int, bool]]:
        exported = 0
        async for page, last in self._pages(wanted, period):
            content = csv_of(page, header=not exported)
            exported += len(page)
            yield 1, content, exported, last

    async def _parquet(
        self, wanted: EventFilter, period: tuple[datetime | None, datetime | None]
    ) -> AsyncIterator[tuple[int, bytes, int, bool]]:
        try:
            from server.events.parquet import parquet_of
        except ImportError:
            raise ParquetNotInstalled from None
        number, exported, waiting, size = 1, 0, list[Event](), 0
        async for page, last in self._pages(wanted, period):
            waiting += page
            size += sum(map(_size, page))
            exported += len(page)
            if last or len(waiting) >= self._file_events or size >= _FILE_BYTES:
                yield number, await parquet_of(waiting), exported, last
                number, waiting, size = number + 1, [], 0
            else:
                yield number, b"", exported, False

    async def _pages(
        self, wanted: EventFilter, period: tuple[datetime | None, datetime | None]
    ) -> AsyncIterator[tuple[Sequence[Event], bool]]:
        """Each page, and whether it is the last one; where there is nothing, one that is empty."""
        after: tuple[datetime, int] | None = None
        while True:
            async with self._readings.reading() as reading:
                page = await reading.exports.list_earliest(wanted, period, after=after, limit=self._page_size)
            last = len(page) < self._page_size
            yield page, last
            if last:
                return
            after = (page[-1].time, page[-1].sequence)


def _size(event: Event) -> int:
    return len(event.data) + sum(len(name) + len(value) for name, value in event.attributes.items())
