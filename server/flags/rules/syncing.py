"""A flag set for clients that evaluate by themselves: flagd's JSON, with nothing in it that they have to resolve.

Segments stand in their places: clients put them there in ways of their own, some of which fail on a backslash or on a
segment within a segment. Prerequisites, which flagd does not know, become part of the targeting.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from server.flags.rules import logic
from server.flags.rules.evaluating import TARGETING_KEY, CompiledFlag, Reason, View
from server.flags.rules.fractional import Fractional
from storage.flags.records import FlagState, Prerequisite

_FLAG_KEY = ("$flagd.flagKey", ["$flagd.flagKey"])


class _Inexpressible(Exception):
    """The other flag's rule cannot be part of another flag's."""


def synced(view: View, version: Fractional) -> Mapping[str, Any]:
    """The flag set as flagd's JSON.

    By itself, v3 of `fractional` hashes a list that no rule can name: a flag with such a prerequisite is given as if
    that did not hold, which is the safe side.
    """
    flags = {key: _flag(view, each, version) for key, each in view.flags.items()}
    return {"flags": flags, **({"metadata": dict(view.metadata)} if view.metadata else {})}


def _flag(view: View, compiled: CompiledFlag, version: Fractional) -> Mapping[str, Any]:
    flag = compiled.flag
    state = "ENABLED" if flag.state is FlagState.ENABLED else "DISABLED"
    found: dict[str, Any] = {"state": state, "variants": dict(flag.variants)}
    if flag.default_variant:
        found["defaultVariant"] = flag.default_variant
    if compiled.rule is not None:
        try:
            found["targeting"] = _rule(view, compiled, version)
        except (_Inexpressible, logic.RuleTooLarge):
            found["targeting"] = {"if": [False, None]}
    if flag.metadata:
        found["metadata"] = dict(flag.metadata)
    return found


def _rule(view: View, compiled: CompiledFlag, version: Fractional) -> Any:
    if not compiled.prerequisites:
        return compiled.rule
    held = {"and": [_held(view, each, version) for each in compiled.prerequisites]}
    return logic.resolved({"if": [held, compiled.rule]}, {})


def _held(view: View, prerequisite: Prerequisite, version: Fractional) -> Any:
    """A condition on what another flag evaluates to."""
    other = view.flags.get(prerequisite.flag_key)
    if other is None:
        return False
    if other.constant is not None:
        return other.constant.reason is not Reason.DISABLED and other.constant.variant in prerequisite.variants
    rule = _of_another(_rule(view, other, version), other.flag.key, version)
    if other.default.variant not in prerequisite.variants:
        return {"in": [rule, _results(prerequisite.variants)]}
    # Null is the default, too: so what is asked is that it is none of the others.
    others = [each for each in other.by_variant if each not in prerequisite.variants]
    return {"!": [{"in": [rule, _results(others)]}]}


def _results(variants: Sequence[str]) -> list[Any]:
    """What a rule may give for these variants."""
    booleans = {"true": True, "false": False}
    return [*variants, *(booleans[each] for each in variants if each in booleans)]


def _of_another(rule: Any, flag_key: str, version: Fractional) -> Any:
    """A flag's rule, as it can stand in another flag's."""
    if isinstance(rule, list):
        return [_of_another(each, flag_key, version) for each in rule]
    if not isinstance(rule, dict):
        return rule
    if len(rule) == 1 and rule.get("var") in _FLAG_KEY:
        return flag_key
    if list(rule) == [logic.FRACTIONAL] and isinstance(rule[logic.FRACTIONAL][0], list):
        if version is not Fractional.V2:
            raise _Inexpressible
        who = {"var": TARGETING_KEY}
        return {logic.FRACTIONAL: [{"if": [who, {"cat": [flag_key, who]}, None]}, *rule[logic.FRACTIONAL]]}
    return {key: _of_another(each, flag_key, version) for key, each in rule.items()}
