"""Rows become records, and records rows, by column names."""

from dataclasses import FrozenInstanceError, dataclass
from enum import StrEnum
from typing import Any

import pytest
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData

from storage.base import AnyRow, Records, json_parameter, row_maker, values_getter


class Color(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Size:
    width: int
    height: int


@dataclass(frozen=True)
class Thing:
    name: str
    title: str
    color: Color
    size: Size
    parts: tuple[str, ...]


THINGS = Records(Thing, title="heading", color=Color, size=(Size, "width", "height"), parts=(tuple,))
VALUES = {"name": "n", "heading": "h", "color": "red", "width": 2, "height": 3, "count": 9}
THING = Thing("n", "h", Color.RED, Size(2, 3), ())


def rows(values: dict[str, Any], names: list[str], count: int = 2) -> list[AnyRow]:
    """Rows as SQLAlchemy returns them, with their columns in this order."""
    found = (tuple(values[name] for name in names) for _ in range(count))
    return list(IteratorResult(SimpleResultMetaData(names), found).all())


@pytest.mark.parametrize("names", [[*VALUES], [*reversed(VALUES)], sorted(VALUES)])
def test_a_record_does_not_depend_on_the_order_of_columns(names: list[str]) -> None:
    """Each value goes where its name says; extra columns are ignored."""
    found = THINGS.all(rows(VALUES, names))
    assert found == [THING, THING]
    assert isinstance(found[0].color, Color)
    assert THINGS.first(rows(VALUES, names)) == THING


def test_a_field_can_be_passed_if_the_columns_do_not_determine_it() -> None:
    """It takes precedence over the computed one; a type can be requested with and without."""
    found = rows(VALUES, [*VALUES])
    assert THINGS.one(found[0], parts=lambda row: (row.name, "more")).parts == ("n", "more")
    assert THINGS.one(found[0]).parts == ()
    assert THINGS.one(found[0], size=lambda _: Size(0, 0)).size == Size(0, 0)


@dataclass(frozen=True, slots=True)
class Slotted:
    width: int
    height: int = 7


def test_a_record_is_as_its_kind_makes_it() -> None:
    """It is of that kind, equal to one that was made by it, and as frozen."""
    found = Records(Slotted).one(rows({"width": 2, "height": 3}, ["width", "height"])[0])
    assert type(found) is Slotted
    assert (found, hash(found), repr(found)) == (made := Slotted(2, 3), hash(made), repr(made))
    with pytest.raises(FrozenInstanceError):
        found.width = 4  # type: ignore[misc]
    assert Slotted(2).height == 7


def test_no_rows_give_no_records() -> None:
    """And the first of none is None."""
    assert THINGS.all([]) == []
    assert THINGS.first([]) is None


def test_an_unmatched_name_is_a_defect() -> None:
    """A field without a column, two columns of one name, and a passed field that does not exist."""
    with pytest.raises(LookupError, match="heading"):
        THINGS.all(rows(VALUES, ["name", "color", "width", "height"]))
    with pytest.raises(LookupError, match="two columns of one name"):
        THINGS.all(rows(VALUES, [*VALUES, "name"]))
    with pytest.raises(TypeError, match="Thing has no field nome"):
        Records(Thing, nome="name")


def test_values_are_read_in_the_order_of_names() -> None:
    """From the record's own attributes, or those of its source; one as well as many."""
    take = values_getter(("height", "name", "width"), height="size.height", width="size.width")
    assert take(THING) == (3, "n", 2)
    assert values_getter(("name",))(THING) == ("n",)
    assert row_maker(("title", "width"), width="size.width")(THING) == {"title": "h", "width": 2}
    assert json_parameter(("height", "name", "width"), map(take, [THING])) == {
        "given": '[{"height":3,"name":"n","width":2}]'
    }
    with pytest.raises(AttributeError):
        values_getter(("nome",))(THING)
