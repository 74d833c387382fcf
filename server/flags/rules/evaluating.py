"""What a flag evaluates to, by flagd's rules, from a snapshot in memory.

What can be known of a flag without a context is worked out once, when it is compiled: each answer that it can give.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from server.flags.errors import FlagNotFound, TargetingFailed, TypeMismatch
from server.flags.rules import logic
from server.flags.rules.compiling import Compiled, Compiler
from storage.flags.records import Flag, FlagState, FlagType, Prerequisite

TARGETING_KEY = "targetingKey"
MAX_SECONDS = 5.0
"""How long all flags of a set may take to evaluate; 10,000 of three rules take a tenth of a second."""


class Reason(StrEnum):
    """Why a client is answered so; clients know them by these names."""

    STATIC = "STATIC"
    """The flag has no targeting: the only answer that a client may keep."""
    TARGETING_MATCH = "TARGETING_MATCH"
    DEFAULT = "DEFAULT"
    """The targeting gave none, a prerequisite does not hold, or there is no default_variant."""
    DISABLED = "DISABLED"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a flag evaluates to."""

    flag_key: str
    type: FlagType
    reason: Reason
    variant: str | None
    """None where none is served: the client uses the default in its own code."""
    value: Any
    metadata: Mapping[str, Any]
    """The flag set's, overridden by the flag's."""


@dataclass(frozen=True, slots=True)
class CompiledFlag:
    """A flag, ready to be evaluated."""

    flag: Flag
    rule: Any
    """The targeting with all segments in their places; None for none."""
    result_of: Compiled
    """The rule, compiled."""
    refers: bool
    """Whether segments stand in it."""
    prerequisites: tuple[Prerequisite, ...]
    constant: Evaluation | None
    """Where the context does not matter."""
    default: Evaluation
    by_variant: Mapping[str, Evaluation]


@dataclass(frozen=True, slots=True)
class View:
    """A flag set, as one configuration version has it."""

    flag_set_id: str
    metadata: Mapping[str, Any]
    flags: Mapping[str, CompiledFlag]
    operators: logic.Operators
    archive_times: Mapping[str, datetime] = field(default_factory=dict)
    """Of the flags that were archived, by key."""


class _Unserved(Exception):
    """The targeting gives what is no variant of the flag."""


def compiled(
    flag: Flag, segments: Mapping[str, Any], set_metadata: Mapping[str, Any], compiler: Compiler
) -> CompiledFlag:
    """The flag, ready to be evaluated; raises what `logic.resolved` does."""
    metadata = {**set_metadata, **flag.metadata}
    values = {name: _typed(value, flag.type) for name, value in flag.variants.items()}

    def answer(reason: Reason, variant: str | None) -> Evaluation:
        value = None if variant is None else values[variant]
        return Evaluation(flag.key, flag.type, reason, variant, value, metadata)

    refers = logic.refers(flag.targeting)
    rule = logic.resolved(flag.targeting, segments) if refers else flag.targeting or None
    default = flag.default_variant or None
    constant = None
    if flag.state is FlagState.DISABLED:
        constant = answer(Reason.DISABLED, None)
    elif rule is None:
        constant = answer(Reason.STATIC if default else Reason.DEFAULT, default)
    matches = {name: answer(Reason.TARGETING_MATCH, name) for name in values}
    return CompiledFlag(
        flag,
        rule,
        compiler.compiled(rule),
        refers,
        flag.prerequisites,
        constant,
        answer(Reason.DEFAULT, default),
        matches,
    )


def evaluated(view: View, flag_key: str, context: Mapping[str, Any], timestamp: int) -> Evaluation:
    """What a flag evaluates to for a context, at a time in seconds since 1970.

    Raises FlagNotFound, and TargetingFailed where the targeting cannot be evaluated, or gives no variant of the flag.
    """
    compiled = view.flags.get(flag_key)
    if compiled is None:
        raise FlagNotFound(flag_set_id=view.flag_set_id, flag_key=flag_key)
    if compiled.constant is not None:
        return compiled.constant
    return Evaluating(view, context, timestamp).of(compiled)


def evaluated_all(
    view: View, context: Mapping[str, Any], timestamp: int, spent: Callable[[], float] = lambda: 0.0
) -> Mapping[str, Evaluation | FlagNotFound | TargetingFailed]:
    """What each flag of the set evaluates to, or why it cannot be evaluated, by its key.

    `spent` is a clock, in seconds: flags that it is too late for, as a context may make each of thousands slow, fail.
    """
    evaluating, ends = Evaluating(view, context, timestamp), spent() + MAX_SECONDS
    found: dict[str, Evaluation | FlagNotFound | TargetingFailed] = {}
    for key, flag in view.flags.items():
        if spent() > ends:
            found[key] = TargetingFailed(flag_key=key)
            continue
        try:
            found[key] = flag.constant or evaluating.of(flag)
        except TargetingFailed as failed:
            found[key] = failed
    return found


def of_type(evaluation: Evaluation, *wanted: FlagType) -> Evaluation:
    """The evaluation, if its value is of one of these types, or there is none; raises TypeMismatch."""
    if evaluation.variant is None or evaluation.type in wanted:
        return evaluation
    raise TypeMismatch(flag_key=evaluation.flag_key, type=evaluation.type, wanted=" or ".join(wanted))


class Evaluating:
    """Evaluates flags of one set for one context; what one flag evaluates to is kept for those that depend on it."""

    def __init__(self, view: View, context: Mapping[str, Any], timestamp: int) -> None:
        self._view = view
        self._context = context
        self._timestamp = timestamp
        self._known: dict[str, Evaluation] = {}

    def data_for(self, flag_key: str) -> dict[str, Any]:
        """What `var` reads in a flag's targeting."""
        return {
            **self._context,
            TARGETING_KEY: self._context.get(TARGETING_KEY),
            "$flagd": {"flagKey": flag_key, "timestamp": self._timestamp},
        }

    def of(self, compiled: CompiledFlag) -> Evaluation:
        """Raises TargetingFailed."""
        if compiled.constant is not None:
            return compiled.constant
        if compiled.prerequisites and not all(self.meets(each) is not None for each in compiled.prerequisites):
            return compiled.default
        try:
            return answered(compiled, compiled.result_of(self.data_for(compiled.flag.key)))
        except Exception as error:
            # Whatever an operator raises of values that a client sends: it is the flag's fault, and not the server's.
            raise TargetingFailed(flag_key=compiled.flag.key) from error

    def meets(self, prerequisite: Prerequisite) -> Evaluation | None:
        """What another flag evaluates to, if that will do; raises TargetingFailed."""
        found = self.prerequisite(prerequisite)
        return found if found is not None and found.variant in prerequisite.variants else None

    def prerequisite(self, prerequisite: Prerequisite) -> Evaluation | None:
        """What another flag evaluates to; None where there is none of its key. Raises TargetingFailed."""
        key = prerequisite.flag_key
        if key not in self._known:
            other = self._view.flags.get(key)
            if other is None:
                return None
            self._known[key] = self.of(other)
        return self._known[key]


def answered(compiled: CompiledFlag, result: Any) -> Evaluation:
    """What the targeting's result means: null the default, true and false the variants so named, else a variant."""
    if result is None:
        return compiled.default
    if isinstance(result, bool):
        result = "true" if result else "false"
    found = compiled.by_variant.get(result if isinstance(result, str) else str(result))
    if found is None:
        raise _Unserved(result)
    return found


def _typed(value: Any, kind: FlagType) -> Any:
    """The value as clients take it: some take a whole number for no float, and 1.0 for no integer."""
    if kind is FlagType.FLOAT:
        return float(value)
    return int(value) if kind is FlagType.INTEGER else value
