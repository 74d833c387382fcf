"""Rows of a file in the format of UCI Online Retail, one by one, each validated."""

import csv
import lzma
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

HEADER = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]

_INVOICE = re.compile(r"[AC]?[0-9]{1,63}")
_SKU = re.compile(r"[!-~]([ -~]{0,62}[!-~])?")
_QUANTITY = re.compile(r"-?[0-9]{1,9}")
_PRICE = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,9})?")
_TIME = "%Y-%m-%d %H:%M:%S"
_MAX_PIECES = 1_000_000
_HIGHEST_PRICE = 1_000_000_000
_MAX_NAME = 200
_MAX_CUSTOMER_ID = 64


class DatasetError(Exception):
    """A file cannot be replayed; the text is one line that names the file, and the row if one row is at fault."""


class Malformed(Exception):
    """A row is malformed; the text says how."""


class Row(NamedTuple):
    """One row as it is in the file."""

    texts: list[str]
    """The file's texts, by column."""
    invoice: str
    sku: str
    description: str
    quantity: int
    time: datetime
    unit_price: Decimal
    customer_id: str
    country: str

    @property
    def is_return(self) -> bool:
        return self.invoice.startswith("C")

    @property
    def is_adjustment(self) -> bool:
        """Whether it is an entry of the shop's ledger, which concerns only money."""
        return self.invoice.startswith("A")


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Yields the rows in the file's order, each with its number as a spreadsheet shows it: the header is row 1.

    Raises DatasetError at the first malformed row.
    """
    form = _Form()
    for number, record in _records(path):
        try:
            row = form.row(record)
        except Malformed as error:
            raise DatasetError(f"{path}, row {number}: {error}") from None
        yield number, row


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with _opened(path) as file:
            yield from _parsed(path, file)
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except (lzma.LZMAError, EOFError):
        raise DatasetError(f"{path}: is not an xz file, or not a whole one") from None


def _parsed(path: Path, file: Iterable[bytes]) -> Iterator[tuple[int, list[str]]]:
    number = 0
    try:
        for number, record in enumerate(csv.reader(_lines(file), strict=True), start=1):
            if number > 1:
                yield number, record
            elif record != HEADER:
                raise DatasetError(f"{path}, row 1: the columns must be {','.join(HEADER)}")
    except UnicodeDecodeError:
        raise DatasetError(f"{path}, row {number + 1}: is not UTF-8") from None
    except csv.Error as error:
        raise DatasetError(f"{path}, row {number + 1}: is not CSV: {error}") from None
    if number == 0:
        raise DatasetError(f"{path}: is empty")


def _opened(path: Path) -> BinaryIO | lzma.LZMAFile:
    if path.name.endswith(".csv"):
        return path.open("rb")
    if path.name.endswith(".csv.xz"):
        return lzma.open(path, "rb")
    raise DatasetError(f"{path}: must be a .csv or a .csv.xz file")


def _lines(file: Iterable[bytes]) -> Iterator[str]:
    """The lines as text, one by one, so that a row that is not UTF-8 can be named."""
    for number, line in enumerate(file):
        yield line.decode("utf-8" if number else "utf-8-sig")


class _Form:
    """Parses rows; equal texts share one value, which keeps a year of orders small."""

    def __init__(self) -> None:
        self._invoice = cache(_invoice)
        self._sku = cache(_sku)
        self._name = cache(_name)
        self._quantity = cache(_quantity)
        self._time = cache(_time)
        self._price = cache(_price)
        self._customer_id = cache(_customer_id)
        self._country = cache(str)

    def row(self, record: list[str]) -> Row:
        if len(record) != len(HEADER):
            raise Malformed(f"has {len(record)} columns instead of {len(HEADER)}")
        if any("\0" in text for text in record):
            raise Malformed("contains a NUL character")
        invoice, sku, description, quantity, time, price, customer_id, country = record
        row = Row(
            record,
            self._invoice(invoice),
            self._sku(sku),
            self._name(description),
            self._quantity(quantity),
            self._time(time),
            self._price(price),
            self._customer_id(customer_id),
            self._country(country),
        )
        if row.unit_price < 0 and not row.is_adjustment:
            raise Malformed(f"UnitPrice {price} is below 0")
        if row.quantity >= 0 and row.is_return:
            raise Malformed(f"Quantity {quantity} of a return is not below 0")
        return row


def _invoice(text: str) -> str:
    if not _INVOICE.fullmatch(text):
        raise Malformed(f"InvoiceNo {_shown(text)} is not digits, nor C or A and digits")
    return text


def _sku(text: str) -> str:
    if not _SKU.fullmatch(text):
        raise Malformed(f"StockCode {_shown(text)} is not 1 to 64 printable ASCII characters without a blank at an end")
    return text


def _name(text: str) -> str:
    if len(text) > _MAX_NAME:
        raise Malformed(f"Description {_shown(text)} is longer than {_MAX_NAME} characters")
    return text


def _quantity(text: str) -> int:
    if not _QUANTITY.fullmatch(text):
        raise Malformed(f"Quantity {_shown(text)} is not a whole number")
    if abs(int(text)) > _MAX_PIECES:
        raise Malformed(f"Quantity {text} is beyond {_MAX_PIECES:,}")
    return int(text)


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME)
    except ValueError:
        raise Malformed(f"InvoiceDate {_shown(text)} is not of the form 2010-12-01 08:26:00") from None


def _price(text: str) -> Decimal:
    if not _PRICE.fullmatch(text):
        raise Malformed(f"UnitPrice {_shown(text)} is not a number with up to nine decimals")
    if abs(Decimal(text)) > _HIGHEST_PRICE:
        raise Malformed(f"UnitPrice {text} is beyond {_HIGHEST_PRICE:,}")
    return Decimal(text)


def _customer_id(text: str) -> str:
    if len(text) > _MAX_CUSTOMER_ID:
        raise Malformed(f"CustomerID {_shown(text)} is longer than {_MAX_CUSTOMER_ID} characters")
    return text


def _shown(text: str) -> str:
    """A value in a message: quoted, on one line, and truncated."""
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
