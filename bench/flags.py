"""Flags of a bench, the people that they are evaluated for, and what flagd's own library answers each of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

_PLANS = ("enterprise", "team", "free", "free", "free", "free", "free", "free", "free", "free")
_COUNTRIES = ("DE", "FR", "GB", "NL", "SE", "US", "CA")


@dataclass(frozen=True, slots=True)
class Person:
    """One evaluation of a flag, and the value that is right."""

    flag_key: str
    context: Mapping[str, Any]
    value: bool


def configuration(flags: int) -> str:
    """So many boolean flags of three rules each, as flagd's JSON."""
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    return json.dumps({"flags": {_key(number): {**flag, "targeting": _rules(number)} for number in range(flags)}})


def people(flags: int, count: int) -> Sequence[Person]:
    """So many people, each of whom one of the flags is evaluated for, all of them in turn."""
    core = FlagdCore()
    core.set_flags(configuration(flags))
    return [_person(core, _key(number % flags), number) for number in range(count)]


def _rules(number: int) -> Mapping[str, Any]:
    """A flag's own: nine of ten people pass the first by, and nearly all of them end in the third, a share of 30 %."""
    return {
        "if": [
            {"==": [{"var": "plan"}, "enterprise"]},
            "on",
            {"and": [{"in": [{"var": "country"}, ["DE", "FR", f"X{number}"]]}, {"==": [{"var": "plan"}, "team"]}]},
            "off",
            {"fractional": [["on", 30_000 + number], ["off", 70_000 - number]]},
        ]
    }


def _key(number: int) -> str:
    return f"checkout-{number}"


def _person(core: FlagdCore, flag_key: str, number: int) -> Person:
    who = f"user-{number}"
    attributes = {"plan": _PLANS[number % len(_PLANS)], "country": _COUNTRIES[number % len(_COUNTRIES)]}
    found = core.resolve_boolean_value(flag_key, False, EvaluationContext(who, attributes))
    return Person(flag_key, {"targetingKey": who, **attributes}, found.value)
