"""What every table and every repository stands on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import orjson
from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    MetaData,
    Row,
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

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
Record = TypeVar("Record", bound="DataclassInstance")

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

APPEND_ONLY: dict[str, bool] = {"append_only": True}
"""What the `info` of a table is of which no server changes or deletes a row that stands there."""


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

    async def _delete_before(
        self, time: Column[Any], before: datetime, limit: int, *conditions: ColumnElement[bool]
    ) -> int:
        """Deletes the first of the rows whose time, a column with an index, lies before; returns how many those were.

        So few at once that no transaction takes long. They are found by where they lie: by their keys, the planner
        would join them with the whole table.
        """
        table: Table = time.table
        place: ColumnElement[Any] = literal_column(f"{table.fullname}.ctid")
        first = select(place).where(time < before, *conditions).order_by(time).limit(limit).scalar_subquery()
        return (await self._connection.execute(delete(table).where(place == any_(func.array(first))))).rowcount


_Converters: TypeAlias = tuple[int, Callable[..., object], Callable[[AnyRow], Sequence[Any]]]
"""A field's place, what makes it, and what that takes of a row."""


class Records(Generic[Record]):
    """How rows become records of one kind: by name, in whatever order a statement has its columns.

    A field takes the column of its name, or that of another: `sequence="seal_sequence"`. Or it is made of its column,
    `state=OrderState`, or of several, `total=(Price, "total", "currency")`, in the order of the function's arguments.
    """

    def __init__(self, kind: type[Record], /, **how: str | Callable[..., object] | tuple[Any, ...]) -> None:
        """Raises TypeError where a field is named that the kind does not have."""
        self._kind = kind
        self._places = {field.name: place for place, field in enumerate(fields(kind))}
        if unknown := how.keys() - self._places.keys():
            raise TypeError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
        renamed = {name: column for name, column in how.items() if isinstance(column, str)}
        self._columns = {name: renamed.get(name, name) for name in self._places}
        self._converters: dict[str, tuple[Any, ...]] = {
            name: each if isinstance(each, tuple) else (each, name) for name, each in how.items() if name not in renamed
        }
        self._plans: dict[tuple[str, ...], tuple[Callable[[AnyRow], Sequence[Any]], Sequence[_Converters]]] = {}

    def all(self, rows: Iterable[AnyRow], /, **json_rows: Callable[[AnyRow], object]) -> list[Record]:
        """The records of one statement's rows; a field that is not told by the columns alone is given by a function.

        Raises LookupError where the statement has no column for a field, or two columns of one name.
        """
        found = list(rows)
        if not found:
            return []
        read, made = self._plan(found[0]._fields, json_rows)
        records = []
        for row in found:
            values = list(read(row))
            for place, how, taken in made:
                values[place] = how(*taken(row))
            for name, how in json_rows.items():
                values[self._places[name]] = how(row)
            records.append(self._kind(*values))
        return records

    def one(self, row: AnyRow, /, **json_rows: Callable[[AnyRow], object]) -> Record:
        """The record of one row."""
        return self.all((row,), **json_rows)[0]

    def first(self, rows: Iterable[AnyRow], /, **json_rows: Callable[[AnyRow], object]) -> Record | None:
        """The record of the first row; None where there is none."""
        return next(iter(self.all(rows, **json_rows)), None)

    def _plan(
        self, columns: tuple[str, ...], json_rows: Mapping[str, object]
    ) -> tuple[Callable[[AnyRow], Sequence[Any]], Sequence[_Converters]]:
        """Where the values stand in a row: found by names once for each statement, since that is most of the cost."""
        key = (*columns, "", *json_rows)
        if key not in self._plans:
            at = {name: place for place, name in enumerate(columns)}
            if len(at) < len(columns):
                raise LookupError(f"two columns of one name, for {self._kind.__name__}: {', '.join(columns)}")
            elsewhere = {*self._converters, *json_rows}
            read = _getter([0 if name in elsewhere else at[column] for name, column in self._columns.items()])
            made = [
                (self._places[name], how[0], _getter([at[column] for column in how[1:]]))
                for name, how in self._converters.items()
                if name not in json_rows
            ]
            self._plans[key] = (read, made)
        return self._plans[key]


def _getter(places: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """What takes the values at these places; `itemgetter` alone would return a single one bare."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: [row[place] for place in places]


def values_getter(names: Sequence[str], /, **paths: str) -> Callable[[object], tuple[Any, ...]]:
    """What takes a record's values in the names' order, for `json_parameter`: the attributes so named, or at the paths.

    `values_getter(_ORDER, total="total.amount")` takes the column `total` from there.
    """
    take = attrgetter(*(paths.get(name, name) for name in names))
    return take if len(names) > 1 else lambda record: (take(record),)


def row_maker(names: Sequence[str], /, **paths: str) -> Callable[[object], dict[str, Any]]:
    """What makes one row of a record, for `insert(table).values(...)`, in the same way."""
    take = values_getter(names, **paths)
    return lambda record: dict(zip(names, take(record), strict=True))


def column_names(table: Table) -> tuple[str, ...]:
    """The names of a table's columns, as plain text: what SQLAlchemy calls them is a kind of its own."""
    return tuple(str(column.name) for column in table.columns)


def json_rows(table: Table, *names: str, name: str = "given") -> TableValuedAlias:
    """The rows given to a statement as one JSON document, so that a batch is one statement with one parameter.

    The columns take their types from the table's of the same names.
    Execute with `json_parameter(...)`, which writes that document; `name` tells two documents of a statement apart.
    """
    typed = (Column(column, table.columns[column].type) for column in names)
    document = cast(bindparam(name, type_=Text), JSON)
    return func.json_to_recordset(document).table_valued(*typed, name=name).render_derived(with_types=True)


def insert_json(table: Table, *names: str, name: str = "given") -> Insert:
    """Inserts the rows given into a table, in their order."""
    return insert(table).from_select(list(names), select(json_rows(table, *names, name=name)))


def update_json(table: Table, *names: str) -> Update:
    """Updates the rows of a table to the rows given, by the first of their columns."""
    rows = json_rows(table, *names)
    mine = table.columns[names[0]] == rows.columns[names[0]]
    return update(table).where(mine).values({name: rows.columns[name] for name in names[1:]})


def json_parameter(names: Sequence[str], rows: Iterable[Sequence[object]], *, name: str = "given") -> dict[str, str]:
    """The parameter of a statement over `json_rows(table, *names)`; the rows' values are in the order of the names."""
    document = [dict(zip(names, row, strict=True)) for row in rows]
    return {name: orjson.dumps(document, _as_json).decode()}


def _as_json(value: object) -> str:
    """As PostgreSQL reads it, what JSON has no form for."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return rf"\x{value.hex()}"
    raise TypeError(f"{type(value).__name__} cannot be given to a statement")
