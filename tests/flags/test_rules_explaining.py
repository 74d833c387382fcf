"""Why a flag evaluates as it does; and that this is how it evaluates."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given

from server.flags.errors import FlagNotFound, TargetingFailed
from server.flags.rules.evaluating import evaluated
from server.flags.rules.explaining import Explanation, explained
from server.flags.rules.fractional import Fractional
from server.flags.rules.snapshots import Snapshot
from storage.flags.records import FlagState, Prerequisite
from tests.flags.values import CONTEXTS, LAW, SECONDS, TARGETINGS, flag, snapshot

RULE = {
    "if": [
        {"==": [{"var": "plan"}, "pro"]},
        "on",
        {"in": [{"var": "country"}, ["GB", "IE"]]},
        {"fractional": [["on", 25], ["off", 75]]},
    ]
}

UNHASHED = (
    "The condition targeting.if[2] matched, and nothing could be hashed, as the context has no targetingKey: "
    'the variant "off".'
)


def why(made: Snapshot, key: str = "f", **context: Any) -> Explanation:
    return explained(made.view(""), key, context, SECONDS, made.fractional)


@given(TARGETINGS, CONTEXTS)
@LAW
def test_an_explanation_is_of_what_clients_are_answered(targeting: Any, context: Mapping[str, Any]) -> None:
    """The same answer, or the same failure; for both versions of fractional."""
    one = flag("f", {"red": 1, "green": 2, "blue": 3, "true": 4}, "red", targeting)
    for version in Fractional:
        made = snapshot(one, version=version)
        told = why(made, **context)
        try:
            assert told.evaluation == evaluated(made.view(""), "f", context, SECONDS)
            assert not told.error
        except TargetingFailed:
            assert told.evaluation is None
            assert told.error


def test_it_tells_which_rule_matched() -> None:
    """And those that were evaluated before."""
    told = why(snapshot(flag("f", targeting=RULE)), plan="free", country="IE", targetingKey="joe")
    assert [(each.path, each.result, each.matched) for each in told.rules] == [
        ("targeting.if[0]", False, False),
        ("targeting.if[2]", True, True),
    ]
    assert told.rules[1].condition == {"in": [{"var": "country"}, ["GB", "IE"]]}


@pytest.mark.parametrize(("version", "hashed"), [(Fractional.V2, '"fjoe"'), (Fractional.V3, '["f", "joe"]')])
def test_it_tells_the_buckets_number(version: Fractional, hashed: str) -> None:
    """With what was hashed, so that it can be computed again."""
    told = why(snapshot(flag("f", targeting=RULE), version=version), country="IE", targetingKey="joe")
    (asked,) = told.buckets
    choice = asked.choice
    assert (asked.path, choice.hashed, choice.total_weight) == ("targeting.if[3]", hashed, 100)
    assert choice.bucket == (choice.hash * 100) >> 32
    assert told.evaluation is not None
    assert choice.variant == told.evaluation.variant == ("on" if choice.bucket < 25 else "off")
    assert f"bucket {choice.bucket} of 100" in told.summary


@pytest.mark.parametrize(
    ("made", "context", "summary"),
    [
        (snapshot(flag("f")), {}, 'The flag has no targeting, so that everybody gets the variant "off".'),
        (
            snapshot(flag("f", targeting=RULE, state=FlagState.DISABLED)),
            {},
            "The flag is disabled, so that clients use the default in the client's own code.",
        ),
        (
            snapshot(flag("f", targeting=RULE)),
            {"plan": "pro"},
            'The condition targeting.if[0] matched: the variant "on".',
        ),
        (snapshot(flag("f", targeting=RULE)), {}, 'No condition matched: the variant "off".'),
        (
            snapshot(flag("f", targeting=RULE)),
            {"country": "GB"},
            UNHASHED,
        ),
        (
            snapshot(flag("f", targeting=RULE, prerequisites=(Prerequisite("base", ("on",)),)), flag("base")),
            {"plan": "pro"},
            'The prerequisite "base" evaluates to "off", so that everybody gets the variant "off".',
        ),
        (
            snapshot(flag("f", targeting={"/": [1, 0]})),
            {},
            "The targeting cannot be evaluated with this context: ZeroDivisionError: division by zero.",
        ),
    ],
)
def test_it_says_so_in_one_sentence(made: Snapshot, context: Mapping[str, Any], summary: str) -> None:
    """For people."""
    assert why(made, **context).summary == summary


def test_an_unknown_flag_is_not_found() -> None:
    """As for clients."""
    with pytest.raises(FlagNotFound):
        why(snapshot(), "f")
