"""Why a flag evaluates as it does: which conditions were evaluated, which one decided, and the bucket."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from json_logic.builtins import to_bool

from server.flags.errors import FlagNotFound, TargetingFailed
from server.flags.rules import fractional, logic
from server.flags.rules.compiling import Compiler
from server.flags.rules.evaluating import TARGETING_KEY, CompiledFlag, Evaluating, Evaluation, Reason, View, answered
from server.flags.rules.fractional import Choice, Fractional
from storage.flags.records import FlagState


@dataclass(frozen=True, slots=True)
class AskedRule:
    """A condition that was evaluated."""

    path: str
    condition: Any
    result: Any
    matched: bool


@dataclass(frozen=True, slots=True)
class AskedBucket:
    """A `fractional` that was evaluated."""

    path: str
    choice: Choice


@dataclass(frozen=True, slots=True)
class AskedPrerequisite:
    """Another flag that was evaluated; None if no flag has this key."""

    flag_key: str
    evaluation: Evaluation | None
    met: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a flag evaluates to, and why."""

    evaluation: Evaluation | None
    """None where the targeting cannot be evaluated with this context."""
    rules: Sequence[AskedRule]
    buckets: Sequence[AskedBucket]
    prerequisites: Sequence[AskedPrerequisite]
    error: str
    """What the targeting failed with; empty where it did not."""
    summary: str


def explained(
    view: View, flag_key: str, context: Mapping[str, Any], timestamp: int, version: Fractional
) -> Explanation:
    """Evaluates a flag as `evaluated` does, step by step; raises FlagNotFound."""
    flag = view.flags.get(flag_key)
    if flag is None:
        raise FlagNotFound(flag_set_id=view.flag_set_id, flag_key=flag_key)
    evaluating = Evaluating(view, context, timestamp)
    trace = _Trace(evaluating.data_for(flag_key), view.operators, version)
    asked: list[AskedPrerequisite] = []
    evaluation, error = None, ""
    try:
        evaluation = flag.constant
        if evaluation is None:
            asked = list(_prerequisites(flag, evaluating))
            held = all(each.met for each in asked)
            evaluation = answered(flag, trace.at(flag.rule, "targeting")) if held else flag.default
    except Exception as failed:  # noqa: BLE001 - what an operator raises of a client's values is what is explained
        error = _named(failed)
    summary = _summary(flag, evaluation, trace, asked, error, context)
    return Explanation(evaluation, trace.rules, trace.buckets, asked, error, summary)


def _prerequisites(flag: CompiledFlag, evaluating: Evaluating) -> Sequence[AskedPrerequisite]:
    """Those that were evaluated, up to the first that does not hold."""
    asked = []
    for each in flag.prerequisites:
        met = evaluating.meets(each) is not None
        asked.append(AskedPrerequisite(each.flag_key, evaluating.prerequisite(each), met))
        if not met:
            break
    return asked


class _Trace:
    """Evaluates a rule and records what was evaluated.

    It walks the branches by itself, and leaves each condition to the evaluation that clients are answered by.
    """

    def __init__(self, data: Mapping[str, Any], operators: logic.Operators, version: Fractional) -> None:
        self._data = data
        self._version = version
        self._path = ""
        self.rules: list[AskedRule] = []
        self.buckets: list[AskedBucket] = []
        self._compiler = Compiler({**operators, logic.FRACTIONAL: self._noting(operators[logic.FRACTIONAL])})

    def at(self, rule: Any, path: str) -> Any:
        operator = next(iter(rule)) if isinstance(rule, dict) and len(rule) == 1 else None
        if operator not in logic.BRANCHES:
            return self._plain(rule, path)
        _, branches = logic.arguments_of(rule)
        return self._branch(branches, f"{path}.{operator}")

    def _branch(self, branches: Sequence[Any], path: str) -> Any:
        for place in range(0, len(branches) - 1, 2):
            here = f"{path}[{place}]"
            result = self._plain(branches[place], here)
            matched = to_bool(result)
            self.rules.append(AskedRule(here, branches[place], result, matched))
            if matched:
                return self.at(branches[place + 1], f"{path}[{place + 1}]")
        last = len(branches) - 1
        return self.at(branches[last], f"{path}[{last}]") if len(branches) % 2 else None

    def _plain(self, rule: Any, path: str) -> Any:
        self._path = path
        return self._compiler.compiled(rule)(self._data)

    def _noting(self, operator: Callable[..., Any]) -> Callable[..., Any]:
        def noting(data: Any, *arguments: Any) -> Any:
            self.buckets.append(AskedBucket(self._path, fractional.explained(self._version, data, arguments)))
            return operator(data, *arguments)

        return noting


def _named(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, TargetingFailed) else error
    return f"{type(cause or error).__name__}: {cause or error}"


def _summary(
    flag: CompiledFlag,
    evaluation: Evaluation | None,
    trace: _Trace,
    asked: Sequence[AskedPrerequisite],
    error: str,
    context: Mapping[str, Any],
) -> str:
    if evaluation is None:
        return f"The targeting cannot be evaluated with this context: {error}."
    served = f'the variant "{evaluation.variant}"' if evaluation.variant else "the default in the client's own code"
    if flag.flag.state is FlagState.DISABLED:
        return f"The flag is disabled, so that clients use {served}."
    if evaluation.reason is Reason.STATIC or flag.rule is None:
        return f"The flag has no targeting, so that everybody gets {served}."
    if asked and not asked[-1].met:
        found = asked[-1].evaluation
        what = "does not exist" if found is None else f"evaluates to {_quoted(found.variant)}"
        return f'The prerequisite "{asked[-1].flag_key}" {what}, so that everybody gets {served}.'
    return f"{_why(trace, context)}: {served}."


def _why(trace: _Trace, context: Mapping[str, Any]) -> str:
    matched = next((each.path for each in reversed(trace.rules) if each.matched), None)
    where = (
        f"The condition {matched} matched" if matched else "No condition matched" if trace.rules else "All are asked"
    )
    if not trace.buckets:
        return where
    choice = trace.buckets[-1].choice
    if choice == fractional.NOBODY:
        migration_problem = "" if context.get(TARGETING_KEY) else ", as the context has no targetingKey"
        return f"{where}, and nothing could be hashed{migration_problem}"
    return f"{where}, and {choice.hashed} falls into bucket {choice.bucket:,} of {choice.total_weight:,}"


def _quoted(variant: str | None) -> str:
    return json.dumps(variant, ensure_ascii=False) if variant else "no variant"
