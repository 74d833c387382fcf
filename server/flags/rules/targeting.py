"""What is wrong with a rule, before anybody is evaluated by it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from server.flags.rules import logic
from server.flags.rules.fractional import MAX_WEIGHT
from server.frame.errors import FieldViolation

_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">=", "^", "~"})


def problems(
    rule: Any, path: str, variants: Collection[str] | None, segments: Mapping[str, Any]
) -> Sequence[FieldViolation]:
    """What is wrong with a targeting, whose results must be variants; or with a segment's rule, without any."""
    if rule == {} and variants is not None:
        return []
    try:
        whole = logic.resolved(rule, segments)
    except logic.SegmentUnknown as unknown:
        return [FieldViolation(path, f"refers to the segment {unknown}, which there is not")]
    except logic.SegmentCircle as circle:
        return [FieldViolation(path, f"refers to the segment {circle}, which refers to itself")]
    except logic.RuleTooLarge:
        return [FieldViolation(path, f"is larger than {logic.MAX_NODES:,} values with all segments in their places")]
    found = list(_operators(rule, path))
    return found or list(_results(whole, path, variants)) if variants is not None else found


def _operators(rule: Any, path: str) -> Iterator[FieldViolation]:
    """Each object is one operator that flagd has, and well formed."""
    if isinstance(rule, list):
        for place, each in enumerate(rule):
            yield from _operators(each, f"{path}[{place}]")
    if not isinstance(rule, dict) or logic.is_reference(rule):
        return
    if len(rule) != 1:
        yield FieldViolation(path, f"must hold one operator, and holds {len(rule)} keys")
        return
    operator, arguments = logic.arguments_of(rule)
    if operator not in logic.KNOWN:
        yield FieldViolation(path, f"there is no operator {operator}")
        return
    here = f"{path}.{operator}"
    yield from _form(operator, arguments, here)
    for place, each in enumerate(arguments):
        yield from _operators(each, f"{here}[{place}]")


def _form(operator: str, arguments: Sequence[Any], path: str) -> Iterator[FieldViolation]:
    wanted = {"starts_with": 2, "ends_with": 2, "sem_ver": 3}.get(operator)
    if wanted is not None and len(arguments) != wanted:
        yield FieldViolation(path, f"must have {wanted} arguments, and has {len(arguments)}")
    elif operator == "sem_ver" and isinstance(arguments[1], str) and arguments[1] not in _COMPARISONS:
        yield FieldViolation(f"{path}[1]", "must be one of = != < <= > >= ^ ~")
    if operator == logic.FRACTIONAL:
        yield from _fractional(arguments, path)


def _fractional(arguments: Sequence[Any], path: str) -> Iterator[FieldViolation]:
    first = 0 if arguments and isinstance(arguments[0], list) else 1
    if not arguments[first:]:
        yield FieldViolation(path, 'must hold shares, such as ["on", 10]')
        return
    weights: list[Any] = []
    for place, each in enumerate(arguments[first:], first):
        here = f"{path}[{place}]"
        if not isinstance(each, list) or not 1 <= len(each) <= 2 or not isinstance(each[0], str | dict):
            yield FieldViolation(here, 'must be a share, such as ["on", 10]')
            return
        weights.append(each[1] if len(each) == 2 else 1)
        if not isinstance(weights[-1], dict) and (type(weights[-1]) is not int or weights[-1] < 0):
            yield FieldViolation(f"{here}[1]", "must be a whole number from 0 on")
            return
    if not any(isinstance(each, dict) for each in weights) and not 0 < sum(weights) <= MAX_WEIGHT:
        yield FieldViolation(path, f"the weights must sum to 1 to {MAX_WEIGHT:,}, and sum to {sum(weights):,}")


def _results(rule: Any, path: str, variants: Collection[str]) -> Iterator[FieldViolation]:
    """Each result that can be seen without a context is a variant; null is the default."""
    if rule is None:
        return
    if isinstance(rule, bool | str | int | float):
        name = str(rule).lower() if isinstance(rule, bool) else str(rule)
        if name not in variants:
            yield FieldViolation(path, f"gives {name}, which is no variant of the flag")
    elif isinstance(rule, list):
        yield FieldViolation(path, "gives a list, which is no variant of the flag")
    else:
        yield from _operator_results(rule, path, variants)


def _operator_results(rule: Mapping[str, Any], path: str, variants: Collection[str]) -> Iterator[FieldViolation]:
    operator, arguments = logic.arguments_of(rule)
    here = f"{path}.{operator}"
    if operator in logic.BRANCHES:
        for place, each in enumerate(arguments):
            if place % 2 or (place == len(arguments) - 1 and len(arguments) % 2):
                yield from _results(each, f"{here}[{place}]", variants)
    elif operator == logic.FRACTIONAL:
        first = 0 if isinstance(arguments[0], list) else 1
        for place, each in enumerate(arguments[first:], first):
            yield from _results(each[0], f"{here}[{place}][0]", variants)
