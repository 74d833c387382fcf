"""Compiled rules have exactly the results, and the errors, of the library that interprets them."""

import copy
import gc
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.flags.rules import logic
from server.flags.rules.compiling import Compiler
from server.flags.rules.fractional import Fractional
from tests.flags.values import flag, segment, snapshot

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.sampled_from([0.0, -0.5, 1.0, 1e300, 10**30])
    | st.sampled_from(["", "a", "0", "1", "1.0", "length", "a.b", "a.0", "x", "1.2.3", "^", "über", " 7 ", "inf"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "0", ""]), inner, max_size=3)
    ),
    max_leaves=8,
)
DATA = st.dictionaries(st.sampled_from(["a", "b", "0", "x", "length", "targetingKey"]), VALUES, max_size=4)
NAMES = st.sampled_from(sorted(logic.KNOWN)) | st.sampled_from(["unknown", "var.a", "a.b", ""])
RULES = st.recursive(
    SCALARS | st.sampled_from(["a", "b", "a.b", "a.0", "x", "", 0, None]).map(lambda name: {"var": name}),
    lambda inner: (
        st.builds(lambda name, given: {name: given}, NAMES, st.lists(inner, max_size=4) | inner)
        | st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "if", "var"]), inner, max_size=2)
    ),
    max_leaves=25,
)
"""Of any operator, and of none, with any number of arguments of any type."""
KNOWN = logic.operators(Fractional.V3)


def outcome(evaluate: Any, data: Mapping[str, Any]) -> tuple[str, str]:
    """The result, of which 1, 1.0 and true differ, or the error, by its type and text."""
    try:
        return "result", repr(evaluate(copy.deepcopy(data)))
    except Exception as error:  # noqa: BLE001 - whatever it is, both must raise it
        return type(error).__name__, str(error)


@given(RULES, DATA)
@settings(max_examples=1000, deadline=None)
@example({"==": [[1], [1]]}, {})
@example({"==": [{"or": [[]]}, {"or": [[]]}]}, {})
@example({"==": [{"a": 1, "b": 2}, {"a": 1, "b": 2}]}, {})
@example({"==": [{"or": [{}]}, {"or": [{}]}]}, {})
@example({"==": [{"var": "a"}, {"var": "a"}]}, {"a": [1]})
@example({"===": [{"cat": [1]}, {"cat": [1.0]}]}, {})
@example({"if": []}, {})
@example({"if": [{"var": "a"}, 1]}, {})
@example({"and": []}, {})
@example({"or": [0, "", [], {}]}, {})
@example({"var": []}, {"a": 1})
@example({"var": ["a.length", 5]}, {"a": "four"})
@example({"unknown": [{"/": [1, 0]}]}, {})
@example({"unknown": [1]}, {})
@example({"map": [{"var": "a"}, {"+": [{"var": ""}, 1]}]}, {"a": [1, "2", None]})
@example({"reduce": [[1, 2, 3], {"+": [{"var": "current"}, {"var": "accumulator"}]}, 0]}, {})
@example({"fractional": [["on", 30], ["off", {"var": "a"}]]}, {"a": 70, "targetingKey": "joe"})
@example({"sem_ver": [{"var": "a"}, ">=", "1.0.0"]}, {"a": "1.2.3"})
def test_a_compiled_rule_has_the_librarys_outcome(rule: Any, data: dict[str, Any]) -> None:
    """For whatever rule and context: the same result, or an error of the same type and text."""
    by_us = Compiler(KNOWN).compiled(copy.deepcopy(rule))
    assert outcome(by_us, data) == outcome(lambda data: logic.evaluated(rule, data, KNOWN), data)
    assert outcome(by_us, data) == outcome(lambda data: logic.evaluated(rule, data, KNOWN), data)


@pytest.mark.parametrize("operator", ["if", "and", "or", "!", "cat", "+"])
def test_a_rule_may_be_as_deep_as_the_library_takes_it(operator: str) -> None:
    """Deeper than any that can be written."""
    rule: Any = {"var": "a"}
    for _ in range(120):
        rule = {operator: [rule]}
    assert outcome(Compiler(KNOWN).compiled(rule), {"a": 1}) == outcome(
        lambda data: logic.evaluated(rule, data, KNOWN), {"a": 1}
    )


def test_what_an_operator_makes_is_bounded() -> None:
    """As it is where the library evaluates it."""
    text = "a" * 40_000
    double = Compiler(KNOWN).compiled({"cat": [{"var": "a"}, {"var": "a"}]})
    with pytest.raises(logic.ValueTooLarge):
        double({"a": text})


def test_rules_that_are_alike_are_compiled_once_and_let_go_of() -> None:
    """Wherever they stand; and what no rule has any more takes no memory."""
    compiler = Compiler(KNOWN)
    condition = {"==": [{"var": "plan"}, "team"]}
    one, other = compiler.compiled({"if": [condition, "on"]}), compiler.compiled({"if": [condition, "off"]})
    again = compiler.compiled(copy.deepcopy(condition))
    assert compiler.compiled(condition) is again
    assert compiler.compiled({"if": [condition, 1]}) is not compiler.compiled({"if": [condition, 1.0]})
    assert (one({"plan": "team"}), other({"plan": "team"})) == ("on", "off")
    del one, other, again
    gc.collect()
    assert len(compiler) == 0


def test_a_changed_segment_changes_the_flags_that_have_it() -> None:
    """What was compiled of its former rule serves nobody."""
    one = flag("f", targeting=orjson.loads(b'{"if": [{"$ref": "staff"}, "on"]}'))
    before = snapshot(one, segments=(segment("staff", {"var": "staff"}),))
    after = snapshot(one, segments=(segment("staff", {"!": [{"var": "staff"}]}),))
    results = [each.view("").flags["f"].result_of({"staff": True}) for each in (before, after)]
    assert results == ["on", None]
