"""Files in the format of UCI Online Retail, read into orders, write-offs, returns and rows that are not replayed."""

import csv
import io
import lzma
import tempfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.dataset import Dataset, Line, NotReplayed, Order, Return, WriteOff, first_day, read_dataset
from replay.figures import Figures, expected
from replay.plan import stock_needed
from replay.rows import HEADER, DatasetError

HEAD = ",".join(HEADER)
GOOD = "536365,85123A,WHITE HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom"


def written(folder: Path, *rows: str, name: str = "orders.csv") -> Path:
    path = folder / name
    content = "\n".join((HEAD, *rows, "")).encode()
    path.write_bytes(lzma.compress(content) if name.endswith(".xz") else content)
    return path


def error_of(path: Path, **days: date) -> str:
    with pytest.raises(DatasetError) as raised:
        read_dataset(path, **days)
    text = str(raised.value)
    assert str(path) in text
    assert "\n" not in text
    return text.removeprefix(str(path))


def test_the_included_day_has_its_known_figures() -> None:
    """136 orders, to the penny, one write-off and six returns; earlier replays identify the day by its digest."""
    day = first_day()
    assert expected(day.orders) == Figures(136, 3081, 27_007, Decimal("58960.79"), 1348)
    assert day.write_offs == (WriteOff("536589", 1, "21777", "", 10),)
    assert len({row.invoice for row in day.returns}) == 6
    assert (len(day.returns), sum(row.quantity for row in day.returns)) == (26, 183)
    assert day.not_replayed == NotReplayed(0, 0)
    assert day.digest == "59cee0d17d14c9144d4e60dfbbc6c8155c0fd8a70b46c4272fdaa3a6f8352738"


def test_rows_of_one_invoice_make_one_order(tmp_path: Path) -> None:
    """Repeated rows are lines, case distinguishes products, a name and a customer may be missing, prices are exact."""
    path = written(
        tmp_path,
        GOOD,
        GOOD,
        "536366,85123a,,80995,2010-12-01 08:27:00,0.001,,EIRE",
        '536365,71053,"A ""B"", C",1,2010-12-01 08:26:00,0,17850.0,United Kingdom',
    )
    holder = Line("85123A", "WHITE HOLDER", 6, Decimal("2.55"))
    other = Line("71053", 'A "B", C', 1, Decimal(0))
    assert read_dataset(path).orders == (
        Order("536365", datetime(2010, 12, 1, 8, 26), "17850.0", "United Kingdom", (holder, holder, other)),
        Order("536366", datetime(2010, 12, 1, 8, 27), "", "EIRE", (Line("85123a", "", 80_995, Decimal("0.001")),)),
    )


def test_rows_that_are_no_order_are_classified(tmp_path: Path) -> None:
    """Write-offs, returns, ledger adjustments and rows of nothing; a return has the time at which it begins."""
    dataset = read_dataset(
        written(
            tmp_path,
            GOOD,
            "536365,85123A,damaged,-2,2010-12-01 08:26:00,0,17850.0,United Kingdom",
            "536365,85123A,WHITE HOLDER,0,2010-12-01 08:26:00,2.55,17850.0,United Kingdom",
            "536367,22139,lost,-4,2010-12-01 08:30:00,0,,United Kingdom",
            "C536368,85123A,WHITE HOLDER,-1,2010-12-01 08:31:00,2.55,17850.0,United Kingdom",
            "C536368,22139,TEA SET,-3,2010-12-01 08:32:00,2.1,17850.0,United Kingdom",
            "A536369,B,Adjust bad debt,1,2010-12-01 08:32:00,-11062.06,,United Kingdom",
        )
    )
    assert [order.invoice for order in dataset.orders] == ["536365"]
    assert dataset.write_offs == (
        WriteOff("536365", 2, "85123A", "damaged", 2),
        WriteOff("536367", 1, "22139", "lost", 4),
    )
    begun = datetime(2010, 12, 1, 8, 31)
    assert dataset.returns == (
        Return("C536368", begun, "17850.0", "85123A", 1, Decimal("2.55")),
        Return("C536368", begun, "17850.0", "22139", 3, Decimal("2.1")),
    )
    assert dataset.not_replayed == NotReplayed(1, 1)


def test_an_invoice_belongs_to_the_day_on_which_it_begins(tmp_path: Path) -> None:
    """Both days of a selection count, and an order over midnight is the same in every selection."""
    path = written(
        tmp_path,
        GOOD,
        "536366,22139,TEA SET,1,2010-12-02 23:59:00,4.25,,France",
        "536367,22139,TEA SET,2,2010-12-03 00:00:00,4.25,,France",
        "536366,22139,TEA SET,3,2010-12-03 00:00:00,4.25,,France",
    )
    assert [order.invoice for order in read_dataset(path, date(2010, 12, 2), date(2010, 12, 2)).orders] == ["536366"]
    second, third = read_dataset(path, first=date(2010, 12, 2)).orders
    assert [line.quantity for line in second.lines] == [1, 3]
    assert third.invoice == "536367"
    assert [order.invoice for order in read_dataset(path, last=date(2010, 12, 1)).orders] == ["536365"]


def test_the_same_rows_have_the_same_digest_whatever_their_file(tmp_path: Path) -> None:
    """Returns do not count, and a changed price does."""
    later = "536366,22139,TEA SET,1,2010-12-02 08:00:00,4.25,,France"
    returned = "C1,22139,TEA SET,-1,2010-12-01 08:00:00,4.25,,France"
    short = read_dataset(written(tmp_path, GOOD))
    assert len(short.digest) == 64
    long = read_dataset(written(tmp_path, GOOD, returned, later, name="long.csv.xz"), last=date(2010, 12, 1))
    assert long.digest == short.digest
    dearer = read_dataset(written(tmp_path, GOOD.replace("2.55", "2.56")))
    assert dearer.digest != short.digest


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (GOOD.replace("536365", "X36365"), "InvoiceNo 'X36365'"),
        (GOOD.replace("536365", ""), "InvoiceNo ''"),
        (GOOD.replace("536365", "٥٣٦"), "InvoiceNo"),
        (GOOD.replace("85123A", ""), "StockCode ''"),
        (GOOD.replace("85123A", " 85123A"), "StockCode ' 85123A'"),
        (GOOD.replace("85123A", "8" * 65), "StockCode"),
        (GOOD.replace("WHITE HOLDER", "W" * 201), "Description"),
        (GOOD.replace(",6,", ",six,"), "Quantity 'six'"),
        (GOOD.replace(",6,", ",1_0,"), "Quantity '1_0'"),
        (GOOD.replace(",6,", ",1.5,"), "Quantity '1.5'"),
        (GOOD.replace(",6,", ",1000001,"), "Quantity 1000001 is beyond 1,000,000"),
        (GOOD.replace(",6,", ",-1000001,"), "Quantity -1000001 is beyond 1,000,000"),
        (GOOD.replace("2010-12-01 08:26:00", "12/1/2010 8:26"), "InvoiceDate '12/1/2010 8:26'"),
        (GOOD.replace("2010-12-01", "2010-02-30"), "InvoiceDate"),
        (GOOD.replace("2.55", "-2.55"), "UnitPrice -2.55 is below 0"),
        (GOOD.replace("2.55", "NaN"), "UnitPrice 'NaN'"),
        (GOOD.replace("2.55", "1e3"), "UnitPrice '1e3'"),
        (GOOD.replace("2.55", "0.0000000001"), "UnitPrice"),
        (GOOD.replace("2.55", "1000000000.01"), "UnitPrice 1000000000.01 is beyond"),
        (GOOD.replace("17850.0", "1" * 65), "CustomerID"),
        (GOOD.replace("17850.0", "17851.0"), "another CustomerID or Country"),
        (GOOD.replace("United Kingdom", "France"), "another CustomerID or Country"),
        (GOOD.replace("536365", "C536365"), "Quantity 6 of a return"),
        (GOOD + ",more", "has 9 columns instead of 8"),
        ("", "has 0 columns instead of 8"),
        (GOOD.replace("WHITE", "WH\0ITE"), "contains a NUL character"),
        (GOOD.replace("WHITE", '"WHITE') + "\n" + GOOD, "is not CSV"),
        (GOOD.replace("WHITE HOLDER", '"WHITE" HOLDER'), "is not CSV"),
    ],
)
def test_a_malformed_row_is_reported_with_its_number_and_fault(tmp_path: Path, row: str, fault: str) -> None:
    """One line that says where to look; the header is row 1, as in a spreadsheet."""
    text = error_of(written(tmp_path, GOOD, row))
    assert text.startswith(", row 3: ")
    assert fault in text


def test_an_unreadable_file_is_reported_with_its_fault(tmp_path: Path) -> None:
    """Missing, a folder, of another type, empty, truncated, without an order: each is one line."""
    assert error_of(tmp_path / "none.csv") == ": No such file or directory"
    (tmp_path / "folder.csv").mkdir()
    assert error_of(tmp_path / "folder.csv") == ": Is a directory"
    (tmp_path / "orders.xlsx").write_bytes(b"PK")
    assert "must be a .csv or a .csv.xz file" in error_of(tmp_path / "orders.xlsx")
    for name in ("empty.csv", "empty.csv.xz"):
        (tmp_path / name).write_bytes(b"" if name.endswith("csv") else lzma.compress(b""))
        assert error_of(tmp_path / name) == ": is empty"
    (tmp_path / "plain.csv.xz").write_text(HEAD)
    assert "is not an xz file" in error_of(tmp_path / "plain.csv.xz")
    whole = written(tmp_path, *[GOOD] * 1000, name="cut.csv.xz")
    whole.write_bytes(whole.read_bytes()[:-40])
    assert "not a whole one" in error_of(whole)
    assert error_of(written(tmp_path)) == ": contains no order"
    assert error_of(written(tmp_path, GOOD), first=date(2011, 1, 1)) == ": contains no order from 2011-01-01"


def test_a_file_in_another_format_is_reported_with_its_row(tmp_path: Path) -> None:
    """Another header, and bytes that are not UTF-8."""
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    assert error_of(other).startswith(", row 1: the columns must be InvoiceNo,StockCode,")
    other.write_bytes(f"{HEAD}\n{GOOD}\n".encode() + GOOD.replace("WHITE", "WEISS\xdf").encode("latin-1"))
    assert error_of(other) == ", row 3: is not UTF-8"
    other.write_bytes(lzma.compress(HEAD.encode()))
    assert error_of(other) == ", row 1: is not UTF-8"


def test_an_order_larger_than_the_contract_allows_is_an_error(tmp_path: Path) -> None:
    """It would end the stream for all the orders after it."""
    assert "invoice 536365 has more than 2,000 lines" in error_of(written(tmp_path, *[GOOD] * 2001))
    assert len(read_dataset(written(tmp_path, *[GOOD] * 2000)).orders[0].lines) == 2000


def test_a_byte_order_mark_is_not_part_of_the_header(tmp_path: Path) -> None:
    """Spreadsheets write one."""
    path = tmp_path / "orders.csv"
    path.write_text(f"\ufeff{HEAD}\n{GOOD}\n")
    assert len(read_dataset(path).orders) == 1


INVOICES = st.sampled_from(["1", "01", "2", "3", "C4", "C5", "A6"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@st.composite
def rows(draw: st.DrawFn) -> list[list[str]]:
    """A few days of a small shop, in the file's format."""
    made = []
    for invoice in draw(st.lists(INVOICES, min_size=1, max_size=30)):
        quantity = draw(st.integers(-9, -1) if invoice.startswith("C") else st.integers(-9, 80_995))
        price = draw(st.decimals(0, 100, places=3))
        sku = draw(st.sampled_from(["85123A", "85123a", "POST", "BANK CHARGES"]))
        day = draw(st.integers(1, 3))
        made.append([invoice, sku, draw(TEXTS), str(quantity), f"2010-12-0{day} 08:26:00", str(price), "", "EIRE"])
    return made


def dataset_of(made: list[list[str]], *days: date) -> Dataset | None:
    """None if the selection holds nothing to replay."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([HEADER, *made])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.csv"
        path.write_bytes(text.getvalue().encode())
        try:
            return read_dataset(path, *days)
        except DatasetError as error:
            if "contains no order" in str(error):
                return None
            raise


@settings(deadline=None)
@given(made=rows())
def test_no_row_is_lost(made: list[list[str]]) -> None:
    """Lines, write-offs, returns and rows that are not replayed add up to all rows."""
    dataset = dataset_of(made)
    if dataset is None:
        return
    left = dataset.not_replayed
    lines = sum(len(order.lines) for order in dataset.orders) + len(dataset.write_offs) + len(dataset.returns)
    assert lines + left.adjustments + left.rows_without_units == len(made)
    assert {order.invoice for order in dataset.orders} <= {"1", "01", "2", "3"}


@settings(deadline=None)
@given(made=rows(), last=st.integers(1, 3))
def test_the_stock_of_a_selection_is_what_it_sells_and_writes_off(made: list[list[str]], last: int) -> None:
    """Product by product, so that a replay ends with nothing left over and nothing missing."""
    dataset = dataset_of(made, date(2010, 12, 1), date(2010, 12, last))
    if dataset is None:
        return
    needed = stock_needed(dataset)
    for sku in needed:
        sold = sum(line.quantity for order in dataset.orders for line in order.lines if line.sku == sku)
        written_off = sum(lost.quantity for lost in dataset.write_offs if lost.sku == sku)
        assert needed[sku] == sold + written_off > 0
    assert needed.total() == expected(dataset.orders).units + sum(lost.quantity for lost in dataset.write_offs)


@settings(deadline=None)
@given(made=rows(), cut=st.integers(1, 2))
def test_two_adjacent_selections_have_the_same_orders_as_the_one_over_both(made: list[list[str]], cut: int) -> None:
    """No order is lost between two days or counted in both."""
    before = dataset_of(made, date(2010, 12, 1), date(2010, 12, cut))
    after = dataset_of(made, date(2010, 12, cut + 1), date(2010, 12, 3))
    whole = dataset_of(made)
    parts = [order for part in (before, after) if part for order in part.orders]
    assert {order.invoice: order for order in parts} == {
        order.invoice: order for order in (whole.orders if whole else ())
    }
    assert len(parts) == (len(whole.orders) if whole else 0)
