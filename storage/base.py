"""What every table and every repository stands on."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    MetaData,
    Table,
    Text,
    Update,
    any_,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert
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


class Reader:
    """Questions of one kind of thing, each one explicit statement, on one connection; nothing is changed or locked."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection


class Repository(Reader):
    """Changes of one kind of thing, too; to lock a row is one, since others wait for it."""

    async def _forget(self, time: Column[Any], before: datetime, limit: int, *conditions: ColumnElement[bool]) -> int:
        """Deletes the first of the rows whose time, a column with an index, lies before; returns how many those were.

        So few at once that no transaction takes long. They are found by where they lie: by their keys, the planner
        would join them with the whole table.
        """
        table: Table = time.table
        place: ColumnElement[Any] = literal_column(f"{table.fullname}.ctid")
        first = select(place).where(time < before, *conditions).order_by(time).limit(limit).scalar_subquery()
        return (await self._connection.execute(delete(table).where(place == any_(func.array(first))))).rowcount


def names_of(table: Table) -> tuple[str, ...]:
    """The names of a table's columns, as plain text: what SQLAlchemy calls them is a kind of its own."""
    return tuple(str(column.name) for column in table.columns)


def given(table: Table, *names: str, name: str = "given") -> TableValuedAlias:
    """The rows given to a statement as one JSON document, so that a batch is one statement with one parameter.

    The columns take their types from the table's of the same names.
    Execute with `rows_of(...)`, which writes that document; `name` tells apart what one statement is given twice.
    """
    typed = (Column(column, table.columns[column].type) for column in names)
    document = cast(bindparam(name, type_=Text), JSON)
    return func.json_to_recordset(document).table_valued(*typed, name=name).render_derived(with_types=True)


def inserting(table: Table, *names: str, name: str = "given") -> Insert:
    """Inserts the rows given into a table, in their order."""
    return insert(table).from_select(list(names), select(given(table, *names, name=name)))


def changing(table: Table, *names: str) -> Update:
    """Updates the rows of a table to the rows given, by the first of their columns."""
    rows = given(table, *names)
    mine = table.columns[names[0]] == rows.columns[names[0]]
    return update(table).where(mine).values({name: rows.columns[name] for name in names[1:]})


def rows_of(names: Sequence[str], rows: Iterable[Sequence[object]], *, name: str = "given") -> dict[str, str]:
    """The parameter of a statement over `given(table, *names)`, from rows whose values stand in the names' order."""
    document = [dict(zip(names, row, strict=True)) for row in rows]
    return {name: orjson.dumps(document, _written).decode()}


def _written(value: object) -> str:
    """As PostgreSQL reads it, what JSON has no form for."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return rf"\x{value.hex()}"
    raise TypeError(f"{type(value).__name__} cannot be given to a statement")
