"""How a module says where it has data of a person: rows that are exported, erased or handed over, and JSON that copies
them.

A module's own are in `storage/<module>/personal_data.py`: `PERSONAL_DATA`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Table


@dataclass(frozen=True, slots=True)
class Person:
    """The account that data is searched by."""

    id: UUID

    @property
    def text(self) -> str:
        """As the columns have it that also take ids of others, such as `customer_id`."""
        return str(self.id)


@dataclass(frozen=True, kw_only=True)
class OwnedRows:
    """The rows of one table that are an account's."""

    kind: str
    """What one of them is, as an export names it: "order"."""
    table: Table
    owned: Callable[[Person], ColumnElement[bool]]
    """Which they are; a column with an index, so that the cost grows with what is the person's."""
    exported: Sequence[str] = ()
    """The columns that an export shows; none of a secret, nor of a secret's hash."""
    erased: Mapping[str, Any] = field(default_factory=dict)
    """What is stored in the place of what is the person's, by column; what is not named is kept."""
    deleted: bool = False
    """Whether the rows go, in the place of single columns."""
    transfer: str | None = None
    """Where the account names a successor: the column that gets the successor's id, and nothing is erased.

    Empty for rows that stay as they are then, since they belong to others that are handed over.
    """

    @property
    def key(self) -> Sequence[Column[Any]]:
        return [*self.table.primary_key.columns]


@dataclass(frozen=True, slots=True)
class JsonText:
    """A column of JSON that copies what is stored elsewhere: kept answers, events, deliveries."""

    column: Column[Any]

    @property
    def table(self) -> Table:
        table: Table = self.column.table
        return table


@dataclass(frozen=True, slots=True)
class JsonOwner:
    """How such JSON names an account, and what of the object that does so is the person's own."""

    name: str
    """The member that has the account's id, such as "customer_id"."""
    texts: frozenset[str]
    """The members whose texts are emptied, in that object and in all within it."""


@dataclass(frozen=True, kw_only=True)
class PersonalDataRules:
    """All that a module says of the data of persons."""

    rows: Sequence[OwnedRows] = ()
    """In the order in which they are erased: what others refer to comes after those."""
    copies: Sequence[JsonText] = ()
    owners: Sequence[JsonOwner] = ()
    """How its answers and its events name accounts, wherever they are copied to."""
