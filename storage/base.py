"""What every table and every repository stands on."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Delete,
    MetaData,
    Table,
    bindparam,
    delete,
    func,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlalchemy.types import UserDefinedType

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
"""All tables; `storage.schema` fills it whole."""


class TransactionId(UserDefinedType[str]):
    """PostgreSQL's xid8: which transaction wrote a row, so that a reader can tell what committed since a snapshot."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


class Repository:
    """Questions and changes of one kind of thing, each one explicit statement, on one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection


def given(table: Table, *names: str) -> TableValuedAlias:
    """The rows given to a statement as one array a column, so that a batch is one statement.

    The columns take their types from the table's of the same names.
    Execute with `columns_of(...)`, which turns rows into those arrays.
    """
    columns: list[Column[Any]] = [table.columns[name] for name in names]
    arrays = (bindparam(f"given_{column.name}", type_=ARRAY(column.type)) for column in columns)
    typed = (Column(column.name, column.type) for column in columns)
    return func.unnest(*arrays).table_valued(*typed, name="given").render_derived()


def some_of(table: Table, old: ColumnElement[bool], limit: int) -> Delete:
    """Deletes so many of a table's rows that are old: so few at once that no transaction takes long."""
    key = tuple_(*table.primary_key.columns)
    return delete(table).where(key.in_(select(*table.primary_key.columns).where(old).limit(limit)))


def columns_of(names: Sequence[str], rows: Iterable[Sequence[object]]) -> dict[str, list[object]]:
    """The parameters of a statement over `given(table, *names)`: one list a column, from rows in the names' order."""
    turned = list(zip(*rows, strict=True))
    return {f"given_{name}": list(turned[index]) if turned else [] for index, name in enumerate(names)}
