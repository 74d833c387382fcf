"""JSONLogic as flagd has it: the operators that there are, segments put in their places, and evaluation."""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import orjson
from json_logic import jsonLogic
from json_logic.builtins import BUILTINS
from openfeature.contrib.tools.flagd.core.targeting.custom_ops import ends_with, sem_ver, starts_with

from server.flags.rules import fractional
from server.flags.rules.fractional import Fractional

Operators = Mapping[str, Callable[..., Any]]
_apply = cast(Callable[[Any, Any, Operators], Any], jsonLogic)
_BUILTINS = cast(Operators, BUILTINS)

REF = "$ref"
"""The only key of what stands in a segment's place."""
_REF_AS_JSON = b'"$ref"'
FRACTIONAL = "fractional"
BRANCHES = frozenset({"if", "?:"})
OVER_LISTS = frozenset({"filter", "reduce", "map", "all", "some", "none"})
"""They evaluate their second argument once for each element of a list."""
LAZY = BRANCHES | OVER_LISTS | {"and", "or"}
"""They do not evaluate all of their arguments."""
_CUSTOM = frozenset({FRACTIONAL, "starts_with", "ends_with", "sem_ver"})
KNOWN = frozenset(BUILTINS) | LAZY | _CUSTOM
"""Every operator that flagd has."""

_MAX_GROWN = 64 * 1024
"""How many characters, elements or bits a value may have that an operator makes of others.

Within `reduce` each element of a client's list could double it.
"""
MAX_NODES = 20_000
"""How large a rule may be once all segments are in their places."""


class SegmentUnknown(Exception):
    """A rule refers to a segment that does not exist."""


class SegmentCircle(Exception):
    """A segment refers to itself, directly or through others."""


class ValueTooLarge(Exception):
    """An operator made a larger value than any flag needs."""


class RuleTooLarge(Exception):
    """With all segments in their places, a rule is larger than may be."""


def operators(version: Fractional) -> Operators:
    """The operators, with one version of `fractional`.

    Those of flagd's library would log an error for each malformed value that a client sends: it is silenced.
    """
    logging.getLogger("openfeature.contrib").setLevel(logging.CRITICAL)
    custom = {"starts_with": starts_with, "ends_with": ends_with, "sem_ver": sem_ver}
    grown = {name: _bounded(_BUILTINS[name]) for name in ("cat", "merge", "*")}
    # By itself, `log` writes whatever a client sends to the standard output.
    return {**_BUILTINS, **grown, **custom, FRACTIONAL: fractional.operator(version), "log": _log}


def evaluated(rule: Any, data: Mapping[str, Any], known: Operators) -> Any:
    """What a rule gives for what `var` reads, by the library. Raises what an operator does, as ZeroDivisionError."""
    return _apply(rule, data, known)


def is_reference(rule: Any) -> bool:
    return isinstance(rule, dict) and len(rule) == 1 and isinstance(rule.get(REF), str)


def refers(rule: Any) -> bool:
    """Whether a rule may refer to a segment: a quick test of its text, since most do not."""
    return _REF_AS_JSON in orjson.dumps(rule)


def references(rule: Any) -> Iterator[str]:
    """The names of the segments that a rule itself refers to."""
    if is_reference(rule):
        yield rule[REF]
    elif isinstance(rule, dict):
        for each in rule.values():
            yield from references(each)
    elif isinstance(rule, list):
        for each in rule:
            yield from references(each)


def resolved(rule: Any, segments: Mapping[str, Any]) -> Any:
    """The rule with each segment reference replaced by the segment's rule, recursively.

    Raises SegmentUnknown or SegmentCircle with the name, or RuleTooLarge.
    """
    return _Resolving(segments).at(rule, ())


class _Resolving:
    def __init__(self, segments: Mapping[str, Any]) -> None:
        self._segments = segments
        self._nodes = 0

    def at(self, rule: Any, inside: tuple[str, ...]) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise RuleTooLarge
        if is_reference(rule):
            name = rule[REF]
            if name in inside:
                raise SegmentCircle(name)
            if name not in self._segments:
                raise SegmentUnknown(name)
            return self.at(self._segments[name], (*inside, name))
        if isinstance(rule, dict):
            return {key: self.at(each, inside) for key, each in rule.items()}
        if isinstance(rule, list):
            return [self.at(each, inside) for each in rule]
        return rule


def arguments_of(rule: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The operator and its arguments: one argument may stand without its list."""
    ((operator, arguments),) = rule.items()
    return operator, arguments if isinstance(arguments, list) else [arguments]


def _bounded(operator: Callable[..., Any]) -> Callable[..., Any]:
    """The operator, which raises ValueTooLarge where its result is longer than `_MAX_GROWN`."""

    def bounded(data: Any, *arguments: Any) -> Any:
        found = operator(data, *arguments)
        if _size(found) > _MAX_GROWN:
            raise ValueTooLarge
        return found

    return bounded


def _size(value: Any) -> int:
    if isinstance(value, str | list):
        return len(value)
    return value.bit_length() if isinstance(value, int) else 0


def _log(_: Any, argument: Any = None, *__: Any) -> Any:
    return argument
