"""Of which type a value is, and a flag by its variants."""

from collections.abc import Iterable
from typing import Any

from storage.flags.records import FlagType


def type_of(value: Any) -> FlagType | None:
    """None for what no flag can serve."""
    match value:
        case bool():
            return FlagType.BOOLEAN
        case int():
            return FlagType.INTEGER
        case float():
            return FlagType.FLOAT
        case str():
            return FlagType.STRING
        case dict():
            return FlagType.OBJECT
        case _:
            return None


def type_of_all(values: Iterable[Any]) -> FlagType | None:
    """The one type of all values, whole numbers being numbers; None where there is none such."""
    found = {type_of(each) for each in values}
    if found == {FlagType.INTEGER, FlagType.FLOAT}:
        return FlagType.FLOAT
    return found.pop() if len(found) == 1 else None
