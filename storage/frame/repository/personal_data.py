from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, case, cast, delete, func, or_, select, tuple_, update

from storage.base import Reader, Repository
from storage.personal_data import JsonText, OwnedRows, Person

Key = tuple[Any, ...]


class PersonalDataReader(Reader):
    """What is stored of one person, by the rules of the modules."""

    async def page(
        self, rows: OwnedRows, person: Person, *, after: Key | None, limit: int
    ) -> tuple[Sequence[Mapping[str, Any]], Key | None]:
        """Up to so many of the person's rows behind a key, and the key of the last one; None after the last page."""
        columns = [rows.table.c[name] for name in rows.exported]
        keys = [column.label(f"key_{place}") for place, column in enumerate(rows.key)]
        statement = select(*columns, *keys).where(rows.owned(person)).order_by(*rows.key).limit(limit)
        if after is not None:
            statement = statement.where(tuple_(*rows.key) > tuple_(*after))
        found = (await self._connection.execute(statement)).all()
        shown = [dict(zip(rows.exported, row, strict=False)) for row in found]
        return shown, tuple(found[-1][len(columns) :]) if len(found) == limit else None


class PersonalDataRepository(PersonalDataReader, Repository):
    """Erases what is stored of one person; of what is erased already nothing changes."""

    async def erase(self, rows: OwnedRows, person: Person, limit: int | None = None) -> int:
        """Erases up to so many of the person's rows, and returns how many those were."""
        mine = rows.owned(person)
        if not rows.deleted:
            if not rows.erased:
                return 0
            mine = and_(mine, or_(*(rows.table.c[name].is_distinct_from(value) for name, value in rows.erased.items())))
        some = tuple_(*rows.key).in_(select(*rows.key).where(mine).order_by(*rows.key).limit(limit).with_for_update())
        statement = delete(rows.table) if rows.deleted else update(rows.table).values(dict(rows.erased))
        return (await self._connection.execute(statement.where(some))).rowcount

    async def transfer(self, rows: OwnedRows, person: Person, to: UUID, limit: int) -> int:
        """Hands up to so many of the person's rows over, and returns how many those were."""
        if not rows.transfer:
            return 0
        some = tuple_(*rows.key).in_(
            select(*rows.key).where(rows.owned(person)).order_by(*rows.key).limit(limit).with_for_update()
        )
        column = rows.table.c[rows.transfer]
        value = str(to) if isinstance(column.type, Text) else to
        return (await self._connection.execute(update(rows.table).where(some).values({column: value}))).rowcount

    async def redact(
        self, copies: JsonText, person: Person, redacted: Callable[[str], str], *, after: Key | None, limit: int
    ) -> Key | None:
        """Rewrites the copies among so many rows behind a key that name the person; returns the last key that it read.

        None once it came to the end of the table, all of which it reads: no index finds an id within a text.
        """
        key = [*copies.table.primary_key.columns]
        found_here = case((func.strpos(copies.column, person.text) > 0, copies.column))
        statement = select(*key, cast(found_here, Text).label("text")).order_by(*key).limit(limit)
        if after is not None:
            statement = statement.where(tuple_(*key) > tuple_(*after))
        found = (await self._connection.execute(statement)).all()
        for row in found:
            if row.text is not None and (text := redacted(row.text)) != row.text:
                mine: ColumnElement[bool] = tuple_(*key) == tuple_(*row[:-1])
                await self._connection.execute(update(copies.table).where(mine).values({copies.column: text}))
        return tuple(found[-1][:-1]) if len(found) == limit else None
