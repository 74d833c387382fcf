"""A selection of real orders, as plain values, with a count of everything that is not replayed."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from importlib.resources import as_file, files
from pathlib import Path

from replay.rows import DatasetError, Malformed, Row, read_rows

_MAX_LINES = 2000
_FIRST_DAY = "online-retail-2010-12-01.csv.xz"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order; `unit_price` in GBP, exact."""

    sku: str
    description: str
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """An invoice of digits only, with its rows of a positive quantity."""

    invoice: str
    time: datetime
    customer_id: str
    country: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class WriteOff:
    """A row of such an invoice with a negative quantity: goods that were lost, broken or thrown away."""

    invoice: str
    place: int
    """The row's number within its invoice, counted from 1; with the invoice it identifies the row in any selection."""
    sku: str
    description: str
    quantity: int
    """How many pieces were sold; positive."""


@dataclass(frozen=True, slots=True)
class Return:
    """A row of an invoice with a C before its digits: returned goods; `unit_price` in GBP, exact."""

    invoice: str
    time: datetime
    """The time at which its invoice begins."""
    customer_id: str
    """Empty if the file names none."""
    sku: str
    quantity: int
    """How many pieces were returned; positive."""
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class NotReplayed:
    """The rows of the selection besides orders, write-offs and returns."""

    adjustments: int
    """Rows of the shop's ledger, which concern only money."""
    rows_without_units: int
    """Rows of orders with the quantity 0."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A selection, in the order in which its invoices begin."""

    orders: tuple[Order, ...]
    write_offs: tuple[WriteOff, ...]
    returns: tuple[Return, ...]
    not_replayed: NotReplayed
    digest: str
    """Identifies the content of orders and write-offs: the same rows have the same digest, whatever their file."""


def read_dataset(path: Path, first: date | None = None, last: date | None = None) -> Dataset:
    """Reads the invoices whose first row is of a day from `first` to `last`, both included; None means no bound.

    An invoice is always complete, so that it is the same order in every selection.
    Raises DatasetError.
    """
    gathering = _DatasetBuilder(first, last)
    for number, row in read_rows(path):
        try:
            gathering.add(row)
        except Malformed as error:
            raise DatasetError(f"{path}, row {number}: {error}") from None
    dataset = gathering.dataset()
    if not dataset.orders and not dataset.write_offs:
        raise DatasetError(f"{path}: contains no order{_between(first, last)}")
    return dataset


def _between(first: date | None, last: date | None) -> str:
    return (f" from {first}" if first else "") + (f" to {last}" if last else "")


@dataclass(slots=True)
class _Invoice:
    """An invoice while its rows are being read."""

    first: Row
    selected: bool
    rows: int = 0
    lines: list[Line] = field(default_factory=list)


class _DatasetBuilder:
    """Sorts rows into orders, write-offs, returns and rows that are not replayed."""

    def __init__(self, first: date | None, last: date | None) -> None:
        self._first = first or date.min
        self._last = last or date.max
        self._invoices: dict[str, _Invoice] = {}
        self._write_offs: list[WriteOff] = []
        self._returns: list[Return] = []
        self._digest = hashlib.sha256()
        self._adjustments = 0
        self._without_units = 0

    def add(self, row: Row) -> None:
        invoice = self._invoices.get(row.invoice)
        if invoice is None:
            selected = self._first <= row.time.date() <= self._last
            invoice = self._invoices[row.invoice] = _Invoice(row, selected)
        if (row.customer_id, row.country) != (invoice.first.customer_id, invoice.first.country):
            raise Malformed(f"invoice {row.invoice} has another CustomerID or Country than in its first row")
        if not invoice.selected:
            return
        invoice.rows += 1
        if row.is_adjustment:
            self._adjustments += 1
        elif row.is_return:
            came_back = (row.sku, -row.quantity, row.unit_price)
            self._returns.append(Return(row.invoice, invoice.first.time, row.customer_id, *came_back))
        else:
            self._add_to_order(invoice, row)

    def _add_to_order(self, invoice: _Invoice, row: Row) -> None:
        # No text contains a NUL, so two different rows never look alike.
        self._digest.update("\0".join((*row.texts, "")).encode())
        if row.quantity > 0:
            invoice.lines.append(Line(row.sku, row.description, row.quantity, row.unit_price))
            if len(invoice.lines) > _MAX_LINES:
                raise Malformed(f"invoice {row.invoice} has more than {_MAX_LINES:,} lines")
        elif row.quantity < 0:
            write_off = WriteOff(row.invoice, invoice.rows, row.sku, row.description, -row.quantity)
            self._write_offs.append(write_off)
        else:
            self._without_units += 1

    def dataset(self) -> Dataset:
        selected = [invoice for invoice in self._invoices.values() if invoice.selected]
        return Dataset(
            orders=tuple(_orders(selected)),
            write_offs=tuple(self._write_offs),
            returns=tuple(self._returns),
            not_replayed=NotReplayed(self._adjustments, self._without_units),
            digest=self._digest.hexdigest(),
        )


def _orders(invoices: list[_Invoice]) -> Iterator[Order]:
    """The orders among the invoices; an invoice without lines is not one."""
    for invoice in invoices:
        if invoice.lines:
            first = invoice.first
            yield Order(first.invoice, first.time, first.customer_id, first.country, tuple(invoice.lines))


def first_day() -> Dataset:
    """The orders of 2010-12-01, included in the package; `replay/data/README.md` names their source."""
    with as_file(files("replay") / "data" / _FIRST_DAY) as path:
        return read_dataset(path)
