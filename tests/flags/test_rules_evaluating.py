"""What flags evaluate to: values, reasons, types, metadata, prerequisites."""

from typing import Any

import pytest

from server.flags.errors import FlagNotFound, TargetingFailed, TypeMismatch
from server.flags.rules.evaluating import Evaluation, evaluated, evaluated_all, of_type
from storage.flags.records import Flag, FlagState, FlagType, Prerequisite
from tests.flags.values import SECONDS, asked, flag, flag_set, segment, snapshot

STAFF = {"if": [{"ends_with": [{"var": "email"}, "@example.com"]}, "on"]}


def told(found: Evaluation) -> tuple[str, str | None, Any]:
    return found.reason, found.variant, found.value


@pytest.mark.parametrize(
    ("one", "answer"),
    [
        (flag("f"), ("STATIC", "off", False)),
        (flag("f", default=""), ("DEFAULT", None, None)),
        (flag("f", state=FlagState.DISABLED), ("DISABLED", None, None)),
        (flag("f", targeting=STAFF, state=FlagState.DISABLED), ("DISABLED", None, None)),
        (flag("f", targeting=STAFF), ("TARGETING_MATCH", "on", True)),
        (flag("f", targeting={"if": [False, "on"]}), ("DEFAULT", "off", False)),
        (flag("f", default="", targeting={"if": [False, "on"]}), ("DEFAULT", None, None)),
        (flag("f", targeting={"fractional": [["on", 1]]}), ("TARGETING_MATCH", "on", True)),
        (flag("f", {"true": "T", "false": "F"}, "false", {"==": [1, 1]}), ("TARGETING_MATCH", "true", "T")),
        (flag("f", {"true": "T", "false": "F"}, "true", {"!": [1]}), ("TARGETING_MATCH", "false", "F")),
    ],
)
def test_reasons_are_flagds(one: Flag, answer: tuple[str, str | None, Any]) -> None:
    """STATIC is what a client may keep: no targeting."""
    assert told(asked(one, email="joe@example.com", targetingKey="joe")) == answer


def test_a_rule_reads_the_flags_key_and_the_time() -> None:
    """By $flagd, which no context can replace."""
    one = flag("f", targeting={"if": [{"==": [{"var": "$flagd.flagKey"}, "f"]}, "on"]})
    assert evaluated(snapshot(one).view(""), "f", {"$flagd": {"flagKey": "other"}}, SECONDS).variant == "on"
    timed = flag("f", targeting={"if": [{"==": [{"var": "$flagd.timestamp"}, SECONDS]}, "on"]})
    assert asked(timed).variant == "on"


@pytest.mark.parametrize(
    ("values", "kind", "given"),
    [
        ({"a": 1, "b": 2}, FlagType.INTEGER, 1),
        ({"a": 1, "b": 2.5}, FlagType.FLOAT, 1.0),
        ({"a": 1.0}, FlagType.FLOAT, 1.0),
        ({"a": "1"}, FlagType.STRING, "1"),
        ({"a": {"x": [1]}}, FlagType.OBJECT, {"x": [1]}),
        ({"a": True}, FlagType.BOOLEAN, True),
    ],
)
def test_values_have_their_flags_type(values: Any, kind: FlagType, given: Any) -> None:
    """Some clients take a whole number for no float."""
    found = asked(flag("f", values, "a"))
    assert (found.type, found.value, type(found.value)) == (kind, given, type(given))
    assert of_type(found, kind) is found


def test_another_type_than_asked_for_is_refused() -> None:
    """But for a flag that serves no value, of which the client uses its own default."""
    with pytest.raises(TypeMismatch, match="of the type boolean, and not string"):
        of_type(asked(flag("f")), FlagType.STRING)
    off = asked(flag("f", state=FlagState.DISABLED))
    assert of_type(off, FlagType.STRING) is off


def test_an_unknown_flag_is_not_found() -> None:
    """Nor is one of another set, or an archived one."""
    made = snapshot(flag("f", flag_set_id="shop"), flag("gone", archived=True))
    for key in ("f", "gone", "other"):
        with pytest.raises(FlagNotFound, match=f"no flag {key}"):
            asked(made, key)
    assert asked(made, "f", flag_set_id="shop").variant == "off"


def test_metadata_is_the_sets_with_the_flags() -> None:
    """The flag's own wins; an owner or a ticket is not in it."""
    own = flag("f", metadata={"team": "web", "since": 3}, owner="ada", ticket="T-1", description="secret")
    made = snapshot(own, sets=(flag_set(team="all", region="eu"),))
    assert asked(made, "f").metadata == {"team": "web", "since": 3, "region": "eu"}


@pytest.mark.parametrize(
    "targeting", [{"/": [1, 0]}, {"cat": ["no ", "variant"]}, {"if": [True, {"var": "word"}]}, {"merge": [[1], [2]]}]
)
def test_a_targeting_that_fails_is_the_flags_fault(targeting: Any) -> None:
    """Whatever is raised, and a result that is no variant; the other flags of the set are answered."""
    made = snapshot(flag("bad", targeting=targeting), flag("good"))
    with pytest.raises(TargetingFailed, match="of the flag bad"):
        asked(made, "bad", word="nonsense")
    everything = evaluated_all(made.view(""), {"word": "nonsense"}, SECONDS)
    assert isinstance(everything["bad"], TargetingFailed)
    assert everything["good"] == asked(made, "good")


def test_segments_stand_in_their_places() -> None:
    """Also within another one, with letters that a text of JSON escapes."""
    staff = segment("staff", {"or": [{"$ref": "office"}, {"==": [{"var": "name"}, 'Zoë \\ "x"']}]})
    office = segment("office", {"ends_with": [{"var": "email"}, "@example.com"]})
    made = snapshot(flag("f", targeting={"if": [{"$ref": "staff"}, "on"]}), segments=(staff, office))
    assert asked(made, "f", email="joe@example.com").variant == "on"
    assert asked(made, "f", name='Zoë \\ "x"').variant == "on"
    assert asked(made, "f", name="Joe").variant == "off"


def needing(key: str, other: str, *variants: str, **more: Any) -> Flag:
    prerequisites = (Prerequisite(other, variants or ("on",)),)
    return flag(key, targeting={"if": [True, "on"]}, prerequisites=prerequisites, **more)


def test_a_prerequisite_that_does_not_hold_gives_the_default() -> None:
    """One that is off, disabled, or missing; if it holds, the targeting is evaluated."""
    for other, variant in (
        (flag("base", default="on"), "on"),
        (flag("base", default="off"), "off"),
        (flag("base", default="on", state=FlagState.DISABLED), "off"),
        (flag("other"), "off"),
        (flag("base", targeting=STAFF), "on"),
    ):
        found = asked(snapshot(other, needing("f", "base")), "f", email="a@example.com")
        assert (found.variant, found.reason) == (variant, "TARGETING_MATCH" if variant == "on" else "DEFAULT")


def test_a_chain_of_prerequisites_is_asked_to_its_end() -> None:
    """Each flag once, however many depend on it."""
    chain = [needing(f"f{number}", f"f{number + 1}") for number in range(9)]
    for last, variant in ((flag("f9", default="on"), "on"), (flag("f9"), "off")):
        assert asked(snapshot(*chain, last), "f0").variant == variant
