"""What is refused when a flag is written, and by which path."""

from typing import Any

import pytest
from hypothesis import given

from server.flags.errors import TargetingFailed
from server.flags.rules.validating import Written, dependents_of, problems_of_flag, problems_of_segment, users_of
from storage.flags.records import Flag, FlagType, Prerequisite
from tests.flags.values import CONTEXTS, LAW, TARGETINGS, asked, flag, segment, snapshot


def problems(one: Flag, *others: Flag, **segments: Any) -> list[tuple[str, str]]:
    written = Written({each.key: each for each in (*others, one)}, segments)
    return [(each.path, each.description) for each in problems_of_flag(one, written)]


def deep(levels: int) -> Any:
    rule: Any = {"var": "x"}
    for _ in range(levels):
        rule = {"!": [rule]}
    return {"if": [rule, "on"]}


def test_a_good_flag_has_no_problem() -> None:
    """With every part that a flag can have."""
    rule = {
        "if": [
            {"$ref": "staff"},
            True,
            {"sem_ver": [{"var": "version"}, ">=", "1.2"]},
            {"fractional": [{"cat": ["seed", {"var": "email"}]}, ["true", 1], ["false", {"var": "weight"}]]},
            None,
        ]
    }
    one = flag("f", {"true": 1, "false": 2.5}, "false", rule, metadata={"a": 1, "b": "x", "c": True})
    needing = (Prerequisite("base", ("on",)),)
    assert not problems(flag("g", prerequisites=needing), flag("base"), one)
    assert not problems(one, staff={"ends_with": [{"var": "email"}, "@example.com"]})


@pytest.mark.parametrize(
    ("one", "path", "what"),
    [
        (flag(" "), "flag.key", "not blank"),
        (flag("a\nb"), "flag.key", "printable"),
        (flag("f", {}, ""), "flag.variants", "at least one"),
        (flag("f", {"": True}, ""), "flag.variants", "name each"),
        (flag("f", {"on": None}, "on"), "flag.variants.on", "must be a boolean"),
        (flag("f", {"on": [1]}, "on"), "flag.variants.on", "must be a boolean"),
        (flag("f", {"on": True, "off": 1}, "on", type=FlagType.BOOLEAN), "flag.variants.off", "of the type integer"),
        (flag("f", {"on": 1.5}, "on", type=FlagType.INTEGER), "flag.variants.on", "of the type float"),
        (flag("f", {"on": 2**53 + 1}, "on"), "flag.variants", "beyond 2^53"),
        (flag("f", {"on": float("nan")}, "on"), "flag.variants", "infinite"),
        (flag("f", {"on": "a\0"}, "on"), "flag.variants", "NUL"),
        (flag("f", {"on": "x" * 70_000}, "on"), "flag.variants", "at most 65,536 bytes"),
        (flag("f", default="other"), "flag.default_variant", "one of the variants"),
        (flag("f", metadata={"a": [1]}), "flag.metadata.a", "a text, a number or a boolean"),
        (flag("f", metadata={"": 1}), "flag.metadata", "name each"),
        (flag("f", metadata={str(number): 1 for number in range(51)}), "flag.metadata", "at most 50"),
        (flag("f", targeting=deep(60)), "flag.targeting", "50 levels"),
        (flag("f", targeting={"iff": [1]}), "flag.targeting", "no operator iff"),
        (flag("f", targeting={"a.b": [1]}), "flag.targeting", "no operator a.b"),
        (flag("f", targeting={"if": [{"var": "x", "in": []}, "on"]}), "flag.targeting.if[0]", "one operator"),
        (flag("f", targeting={"if": [{}, "on"]}), "flag.targeting.if[0]", "one operator"),
        (flag("f", targeting={"if": [{"$ref": "s"}, "on"]}), "flag.targeting", "segment s, which there is not"),
        (flag("f", targeting={"if": [True, "on", "of"]}), "flag.targeting.if[2]", "gives of, which is no variant"),
        (flag("f", targeting={"if": [True, True]}), "flag.targeting.if[1]", "gives true, which is no variant"),
        (flag("f", targeting={"if": [True, ["on"]]}), "flag.targeting.if[1]", "a list"),
        (flag("f", targeting={"if": [{"starts_with": ["a"]}, "on"]}), "flag.targeting.if[0].starts_with", "2 argu"),
        (flag("f", targeting={"if": [{"sem_ver": ["1", "=="]}, "on"]}), "flag.targeting.if[0].sem_ver", "3 argu"),
        (flag("f", targeting={"if": [{"sem_ver": ["1", "==", "2"]}, "on"]}), "flag.targeting.if[0].sem_ver[1]", "one"),
        (flag("f", targeting={"fractional": []}), "flag.targeting.fractional", "must hold shares"),
        (flag("f", targeting={"fractional": [{"var": "x"}]}), "flag.targeting.fractional", "must hold shares"),
        (flag("f", targeting={"fractional": [["on", 1], "off"]}), "flag.targeting.fractional[1]", "a share"),
        (flag("f", targeting={"fractional": [["on", 1.5]]}), "flag.targeting.fractional[0][1]", "whole number"),
        (flag("f", targeting={"fractional": [["on", -1]]}), "flag.targeting.fractional[0][1]", "whole number"),
        (flag("f", targeting={"fractional": [["on", True]]}), "flag.targeting.fractional[0][1]", "whole number"),
        (flag("f", targeting={"fractional": [["on", 0]]}), "flag.targeting.fractional", "sum to 1 to"),
        (flag("f", targeting={"fractional": [["on", 2**31]]}), "flag.targeting.fractional", "sum to 1 to"),
        (flag("f", targeting={"fractional": [["x", 1]]}), "flag.targeting.fractional[0][0]", "gives x, which is no"),
        (
            flag("f", prerequisites=(Prerequisite("f", ("on",)),)),
            "flag.prerequisites[0].flag_key",
            "must name another flag",
        ),
        (
            flag("f", prerequisites=(Prerequisite("g", ("on",)),)),
            "flag.prerequisites[0].flag_key",
            "of the same flag set",
        ),
    ],
)
def test_a_bad_flag_is_refused_by_the_path_of_what_is_wrong(one: Flag, path: str, what: str) -> None:
    """One problem each, which is the first named."""
    found = problems(one)
    assert found
    assert found[0][0] == path
    assert what in found[0][1]


def test_prerequisites_make_no_circle_and_no_long_chain() -> None:
    """The message names the way."""

    def needing(key: str, *others: str) -> Flag:
        return flag(key, prerequisites=tuple(Prerequisite(other, ("on",)) for other in others))

    circle = [needing("a", "b"), needing("b", "c"), needing("c", "a")]
    assert "a → b → c → a" in problems(circle[0], *circle[1:])[0][1]
    chain = [needing(f"f{number}", f"f{number + 1}") for number in range(12)]
    found = problems(chain[0], *chain[1:], flag("f12"))
    assert "more than 10 flags" in found[0][1]
    assert not problems(chain[8], *chain[9:], flag("f12"))
    assert problems(needing("x", "y"), flag("y", {"red": 1}, "red"))[0][0] == "flag.prerequisites[0].variants"


def test_segments_make_no_circle_and_do_not_explode() -> None:
    """Each refers to the next one twice: 20 of them would be a million values."""
    one = flag("f", targeting={"if": [{"$ref": "s0"}, "on"]})
    assert "refers to itself" in problems(one, s0={"!": [{"$ref": "s1"}]}, s1={"!": [{"$ref": "s0"}]})[0][1]
    bomb = {f"s{number}": {"or": [{"$ref": f"s{number + 1}"}] * 2} for number in range(20)}
    assert "larger than 20,000 values" in problems(one, **bomb, s20={"var": "x"})[0][1]


def test_a_segment_is_refused_for_the_flags_that_refer_to_it() -> None:
    """By the flag's path, if by another segment."""
    user = flag("f", targeting={"if": [True, {"$ref": "outer"}]})
    rules = {"outer": {"if": [True, {"$ref": "inner"}]}, "inner": "other"}
    written = Written({"f": user, "g": flag("g")}, rules)
    (found,) = problems_of_segment(segment("inner", "other"), written)
    assert found.path == "flags.f.targeting.if[1].if[1]"
    (broken,) = problems_of_segment(segment("s", {"iff": 1}), Written({}, {"s": {"iff": 1}}))
    assert (broken.path, broken.description) == ("segment.rule", "there is no operator iff")
    assert users_of("inner", written) == ["$evaluators.outer"]
    assert users_of("outer", written) == ["flags.f"]


def test_who_depends_on_a_flag_is_found() -> None:
    """So that it is not archived under them."""
    needing = flag("g", prerequisites=(Prerequisite("f", ("on",)),))
    assert dependents_of("f", [needing, flag("h"), flag("f")]) == ["g"]


@given(TARGETINGS, CONTEXTS)
@LAW
def test_a_flag_without_problems_serves_one_of_its_variants(targeting: Any, context: dict[str, Any]) -> None:
    """Or the default, whatever the context; only arithmetic on what a client sends may fail."""
    one = flag("f", {"red": 1, "green": 2, "blue": 3, "true": 4}, "red", targeting)
    if problems(one):
        return
    try:
        variant = asked(snapshot(one), "f", **context).variant
    except TargetingFailed as failed:
        raised = failed.__cause__
    else:
        raised = None
        assert variant in one.variants
    assert isinstance(raised, TypeError | ValueError | ArithmeticError | None)
