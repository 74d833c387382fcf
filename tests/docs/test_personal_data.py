"""Nothing is stored in a text of which nobody decided what becomes of it when a person goes."""

import re
from importlib import import_module
from pathlib import Path

from sqlalchemy import ARRAY, JSON, LargeBinary, Table, Text

from server.modules import MODULES
from storage.personal_data import PersonalDataRules
from storage.schema import METADATA

PAGE = Path(__file__).parents[2] / "docs/personal-data.md"
_ROW = re.compile(r"\| `([a-z_]+\.[a-z_]+)` \| ([^|]+) \| [^|]+ \|")
# A request's digest says nothing of its content, and goes with its row.
_NOT_TEXT = {("frame.request_ids", "digest")}


def rules() -> list[PersonalDataRules]:
    found = [f"storage.{name}.personal_data" for name in ("frame", *MODULES)]
    return [import_module(name).PERSONAL_DATA for name in found]


def texts(table: Table) -> set[str]:
    """The columns that can hold any text."""
    kinds = (Text, JSON, LargeBinary)
    items = {column.name: getattr(column.type, "item_type", column.type) for column in table.columns}
    return {name for name, kind in items.items() if isinstance(kind, kinds) and not isinstance(kind, ARRAY)}


def test_each_text_is_erased_or_named_as_kept() -> None:
    """By a rule of its module, or in the table of the page; a new column fails this until somebody has decided."""
    every = [rows for each in rules() for rows in each.rows]
    deleted = {rows.table.fullname for rows in every if rows.deleted}
    erased = {(rows.table.fullname, name) for rows in every for name in rows.erased}
    erased |= {(copy.table.fullname, copy.column.name) for each in rules() for copy in each.copies}
    left = {
        (table.fullname, name)
        for table in METADATA.sorted_tables
        if table.fullname not in deleted
        for name in texts(table)
    }
    named = {
        (table, name) for table, columns in _ROW.findall(PAGE.read_text()) for name in re.findall(r"`(\w+)`", columns)
    }
    assert named == left - erased - _NOT_TEXT


def test_no_export_shows_a_secret() -> None:
    """Nor the hash of one, nor what is sealed."""
    shown = {(rows.table.fullname, name) for each in rules() for rows in each.rows for name in rows.exported}
    assert {name for _, name in shown if re.search("hash|secret|material|digest|mac|token", name)} == set()
