"""What is evaluated here agrees with flagd's own libraries."""

import copy
import logging
from typing import Any

import cbor2
import mmh3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from server.flags.errors import TargetingFailed
from server.flags.rules import fractional
from server.flags.rules.evaluating import evaluated
from server.flags.rules.fractional import Fractional
from server.flags.rules.syncing import synced
from storage.flags.records import Flag, FlagState
from tests.flags.values import CONTEXTS, LAW, SECONDS, TARGETINGS, VARIANTS, flag, snapshot

COLORS = {"red": "#f00", "green": "#0f0", "blue": "#00f", "true": "#fff"}
FLAGS = st.builds(
    lambda targeting, default, state, metadata: flag(
        "color", COLORS, default, targeting, state=state, metadata=metadata
    ),
    st.just({}) | TARGETINGS,
    st.sampled_from(["", *VARIANTS]),
    st.sampled_from([FlagState.ENABLED] * 5 + [FlagState.DISABLED]),
    st.dictionaries(st.sampled_from(["team", "since"]), st.integers(0, 9) | st.booleans(), max_size=2),
)


def by_core(document: Any, context: dict[str, Any]) -> Any:
    """What flagd's Python core answers: variant, value, reason, metadata; None where it fails."""
    core = FlagdCore()
    core.set_flags(copy.deepcopy(document))
    attributes = {name: each for name, each in context.items() if name != "targetingKey"}
    try:
        found = core.resolve_string_value("color", "ours", EvaluationContext(context.get("targetingKey"), attributes))
    except Exception:  # noqa: BLE001 - whatever it is, both fail
        return None
    value = found.value if found.variant else None
    return found.variant, value, str(found.reason), dict(found.flag_metadata)


def by_us(one: Flag, context: dict[str, Any]) -> Any:
    try:
        found = evaluated(snapshot(one).view(""), one.key, context, SECONDS)
    except TargetingFailed:
        return None
    return found.variant, found.value, str(found.reason), dict(found.metadata)


def document_of(one: Flag) -> Any:
    return synced(snapshot(one).view(""), Fractional.V3)


@given(FLAGS, CONTEXTS)
@LAW
@example(flag("color", COLORS, "red", {"if": [{"var": "age"}, {"fractional": [["green", 1]]}]}), {"age": 1})
def test_every_answer_is_that_of_flagds_python_core(one: Flag, context: dict[str, Any]) -> None:
    """Variant, value, reason and metadata, for whatever rules and contexts; and both fail, or neither."""
    assert by_us(one, context) == by_core(document_of(one), context)


@pytest.mark.parametrize(("key", "chosen"), [("flag", "fftttftt"), ("sf", "tfttffff"), ("half", "ftttfftt")])
def test_v2_puts_people_where_flagds_javascript_core_does(key: str, chosen: str) -> None:
    """The answers of @openfeature/flagd-core 4.0.1 for u0 to u7, by a flag of 50 to 50."""
    choose = fractional.operator(Fractional.V2)
    people = ({"$flagd": {"flagKey": key}, "targetingKey": f"u{number}"} for number in range(8))
    assert "".join(choose(each, ["t", 50], ["f", 50]) for each in people) == chosen


def test_v2_agrees_on_three_variants_and_on_a_key_of_ones_own() -> None:
    """The answers of the same library."""
    choose = fractional.operator(Fractional.V2)
    shares = (["true", 25], ["a", 25], ["false", 50])
    people = ({"$flagd": {"flagKey": "half"}, "targetingKey": f"user-{number}"} for number in range(16))
    found = [choose(each, *shares) for each in people]
    known = "a,a,false,false,true,a,false,false,false,false,true,true,false,false,false,false"
    assert found == known.split(",")
    by_email = [choose({}, f"u{number}@x.org", ["t", 50], ["f", 50]) for number in range(8)]
    assert "".join(by_email) == "ttftftft"


def test_one_flag_shows_both_versions_of_the_wire() -> None:
    """What a Python and a JavaScript client in its own process were seen to answer for u0 to u7, 50 to 50.

    The flag's key was not noted with that; this is one that gives both answers.
    """
    known = {Fractional.V3: "FTFTFFTF", Fractional.V2: "TFTTFFFF"}
    for version, answers in known.items():
        choose = fractional.operator(version)
        people = ({"$flagd": {"flagKey": "sf"}, "targetingKey": f"u{number}"} for number in range(8))
        assert "".join(choose(each, ["T", 50], ["F", 50]) for each in people) == answers


@given(st.text(st.characters(codec="utf-8"), max_size=300), st.text(st.characters(codec="utf-8"), min_size=1))
@LAW
@example("k" * 255, "u" * 256)
@example("k" * 23, "u" * 24)
def test_what_is_hashed_is_canonical_cbor(key: str, who: str) -> None:
    """Written by hand for texts, it is what the library for it writes."""
    found = fractional.explained(Fractional.V3, {"$flagd": {"flagKey": key}, "targetingKey": who}, [["a", 1]])
    assert found.hash == mmh3.hash(cbor2.dumps([key, who], canonical=True), signed=False)


def test_nothing_that_a_client_sends_makes_the_library_log(caplog: pytest.LogCaptureFixture) -> None:
    """By itself it writes an error for each call without a targetingKey, and a traceback for each odd version."""
    rule = {"if": [{"sem_ver": [{"var": "version"}, ">", "1.0.0"]}, "on", {"fractional": [["on", 1], ["off", 1]]}]}
    with caplog.at_level(logging.DEBUG):
        assert evaluated(snapshot(flag("f", targeting=rule)).view(""), "f", {"version": "?"}, SECONDS).variant == "off"
    assert not caplog.records


def test_the_log_operator_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """By itself it writes what a client sends to the standard output."""
    one = flag("f", targeting={"log": ["on"]})
    assert evaluated(snapshot(one).view(""), "f", {}, SECONDS).variant == "on"
    assert capsys.readouterr().out == ""
