"""What every table and every repository builds on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, make_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar
from uuid import UUID

import orjson
from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    MetaData,
    Result,
    Row,
    Select,
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
    tuple_,
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
"""What the `info` of a table is whose stored rows no server changes or deletes."""


class TransactionId(UserDefinedType[str]):
    """PostgreSQL's xid8: which transaction wrote a row, so that a reader can find what committed since a snapshot."""

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

        So few in one transaction that none takes long. They are found by where they lie: by their keys, the planner
        would join them with the whole table.
        """
        table: Table = time.table
        place: ColumnElement[Any] = literal_column(f"{table.fullname}.ctid")
        first = select(place).where(time < before, *conditions).order_by(time).limit(limit).scalar_subquery()
        return (await self._connection.execute(delete(table).where(place == any_(func.array(first))))).rowcount


_Made: TypeAlias = tuple[Callable[..., object] | None, Sequence[int]]
"""What makes a field's value, and the places of the columns that it takes; None for the bare value of one."""


class Records(Generic[Record]):
    """How rows become records of one kind: by name, in whatever order a statement has its columns.

    A field takes the column of its name, or that of another: `sequence="seal_sequence"`. Or it is made of its column,
    `state=OrderState`, or of several, `total=(Price, "total", "currency")`, in the order of the function's arguments.
    """

    def __init__(self, kind: type[Record], /, **how: str | Callable[..., object] | tuple[Any, ...]) -> None:
        """Raises TypeError where a field is named that the kind does not have."""
        self._kind = kind
        self._fields = tuple(field.name for field in fields(kind))
        if unknown := how.keys() - set(self._fields):
            raise TypeError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
        self._how = {name: _made(name, how.get(name, name)) for name in self._fields}
        self._plans: dict[tuple[str, ...], Mapping[str, _Made]] = {}

    def all(self, rows: Iterable[AnyRow], /, **json_rows: Callable[[AnyRow], object]) -> list[Record]:
        """The records of one statement's rows; a field that does not follow from the columns alone is given by a
        function.

        Raises LookupError where the statement has no column for a field, or two columns of one name.
        """
        found = rows.all() if isinstance(rows, Result) else list(rows)
        if not found:
            return []
        plan = self._plan(found[0]._fields, json_rows)
        # A field of all rows at once: a page of 50 takes half as long as row by row.
        columns = tuple(zip(*found, strict=True))
        values = (
            map(json_rows[name], found) if name in json_rows else _column(columns, *plan[name]) for name in self._fields
        )
        records: list[Any] = list(map(self._unfrozen, *values))
        if self._unfrozen is not self._kind:
            for record in records:
                record.__class__ = self._kind
        return records

    def one(self, row: AnyRow, /, **json_rows: Callable[[AnyRow], object]) -> Record:
        """The record of one row."""
        return self.all((row,), **json_rows)[0]

    def first(self, rows: Iterable[AnyRow], /, **json_rows: Callable[[AnyRow], object]) -> Record | None:
        """The record of the first row; None where there is none."""
        return next(iter(self.all(rows, **json_rows)), None)

    @cached_property  # it takes a millisecond to make, and not every server uses every kind
    def _unfrozen(self) -> type[Any]:
        """What has the slots of the kind and is not frozen: a record is made as this, and then becomes of its kind.

        A frozen dataclass sets each field by a call, which for 20 fields takes five times as long: a tenth of a page. A
        kind that does more with its values than to keep them is made by itself.
        """
        kind = self._kind
        plain = kind.__bases__ == (object,) and not hasattr(kind, "__post_init__")
        if not plain or kind.__dict__.get("__slots__") != self._fields:
            return kind
        return make_dataclass(kind.__name__, self._fields, slots=True, repr=False, eq=False)

    def _plan(self, columns: tuple[str, ...], json_rows: Mapping[str, object]) -> Mapping[str, _Made]:
        """Where each field's values are in a row: found by names once for each statement, since that is most of the
        cost.
        """
        key = (*columns, "", *json_rows)
        if key not in self._plans:
            at = {name: place for place, name in enumerate(columns)}
            if len(at) < len(columns):
                raise LookupError(f"two columns of one name, for {self._kind.__name__}: {', '.join(columns)}")
            self._plans[key] = {
                name: (how, [at[column] for column in taken])
                for name, (how, taken) in self._how.items()
                if name not in json_rows
            }
        return self._plans[key]


def _made(name: str, how: str | Callable[..., object] | tuple[Any, ...]) -> tuple[Any, Sequence[str]]:
    """What makes a field's value, None where it is taken as it is, and the names of the columns for it."""
    if isinstance(how, str):
        return None, (how,)
    make, *columns = how if isinstance(how, tuple) else (how, name)
    if isinstance(make, type) and issubclass(make, Enum):
        make = {member.value: member for member in make}.__getitem__  # to call an enum takes three times as long
    return make, columns


def _column(
    columns: Sequence[Sequence[Any]], how: Callable[..., object] | None, places: Sequence[int]
) -> Iterable[Any]:
    """A field's values, one for each row."""
    if how is None:
        return columns[places[0]]
    if not places:
        return (how() for _ in columns[0])
    return map(how, *(columns[place] for place in places))


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


def latest(statement: Select[Any], table: Table, *, before: tuple[datetime, UUID] | None, limit: int) -> Select[Any]:
    """A page of a statement's rows from the latest on, starting below a key of (create_time, id)."""
    if before is not None:
        statement = statement.where(tuple_(table.c.create_time, table.c.id) < before)
    return statement.order_by(table.c.create_time.desc(), table.c.id.desc()).limit(limit)


def json_rows(table: Table, *names: str, name: str = "given") -> TableValuedAlias:
    """The rows given to a statement as one JSON document, so that a batch is one statement with one parameter.

    The columns take their types from the table's of the same names.
    Execute with `json_parameter(...)`, which writes that document; `name` distinguishes two documents of a statement.
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
