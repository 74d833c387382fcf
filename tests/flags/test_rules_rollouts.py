"""Shares: how exact they are, who moves as they grow, and that flags are independent."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import mmh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.flags.rules import fractional, rollouts
from server.flags.rules.fractional import Fractional
from server.flags.rules.rollouts import Line, NoRollout
from storage.flags.records import Flag
from tests.flags.values import LAW, asked, flag, snapshot

PEOPLE = 100_000
COLORS: Mapping[str, Any] = {"a": "A", "b": "B", "c": "C"}
WHOLE = 100_000

PERCENT = 1_000


def grown(
    targeting: Mapping[str, Any],
    default: str,
    given: Mapping[str, float] | None = None,
    *,
    seed: str = "",
    by: str = "",
    **percents: float,
) -> Any:
    line = rollouts.seeded(rollouts.line_of(targeting, default), seed, by)
    return rollouts.with_line(
        targeting, rollouts.grown(line, rollouts.in_thousandths({**(given or {}), **percents}.items()), default)
    )


def variants_of(one: Flag, people: int, version: Fractional = Fractional.V3) -> Sequence[str | None]:
    made = snapshot(one, version=version)
    return [asked(made, one.key, targetingKey=f"person-{number}").variant for number in range(people)]


@pytest.mark.parametrize("version", Fractional)
def test_each_share_of_three_is_within_half_a_point(version: Fractional) -> None:
    """100,000 people at 10, 30 and 60 percent."""
    one = flag("three", COLORS, "c", grown({}, "c", a=10, b=30))
    counted = Counter(variants_of(one, PEOPLE, version))
    for variant, percent in (("a", 10), ("b", 30), ("c", 60)):
        assert abs(counted[variant] / PEOPLE * 100 - percent) < 0.5


def test_three_variants_grown_in_turn_move_nobody_but_the_defaults() -> None:
    """Ten steps in turn, to the end: people who left the default keep their variant."""
    targeting: Mapping[str, Any] = {}
    before = variants_of(flag("turns", COLORS, "c", targeting), 20_000)
    for step in range(1, 6):
        for name in ("a", "b"):
            targeting = grown(targeting, "c", {name: step * 10})
            after = variants_of(flag("turns", COLORS, "c", targeting), 20_000)
            moved = {(was, now) for was, now in zip(before, after, strict=True) if was != now}
            assert moved == {("c", name)}
            before = after
    assert set(before) == {"a", "b"}


def test_a_share_grows_by_segments_and_not_by_weights() -> None:
    """As flagd's users know it: the new part of `a` lies behind `b`."""
    targeting = grown(grown(grown({}, "c", a=10), "c", b=10), "c", a=20)
    assert targeting == {"fractional": [["a", 10], ["b", 10], ["a", 10], ["c", 70]]}


def test_two_flags_at_a_quarter_are_independent() -> None:
    """Of those whom the one has chosen, the other has chosen a quarter, too."""
    one, other = (variants_of(flag(key, targeting=grown({}, "off", on=25)), PEOPLE) for key in ("one", "other"))
    both = sum(first == second == "on" for first, second in zip(one, other, strict=True))
    assert abs(both / PEOPLE - 1 / 16) < 0.005


def test_flags_of_one_seed_choose_the_same_people() -> None:
    """On purpose: the people of one flag's quarter are among the other flag's half."""
    quarter = variants_of(flag("one", targeting=grown({}, "off", on=25, seed="launch")), 5_000)
    half = variants_of(flag("other", targeting=grown({}, "off", on=50, seed="launch")), 5_000)
    assert all(second == "on" for first, second in zip(quarter, half, strict=True) if first == "on")
    assert 0.45 < Counter(half)["on"] / 5_000 < 0.55


def test_who_has_nothing_to_be_chosen_by_gets_the_default() -> None:
    """Also with a seed: all who have no key are not one person."""
    for seed in ("", "launch"):
        assert asked(flag("f", targeting=grown({}, "off", on=99, seed=seed))).variant == "off"
    by_company = flag("f", targeting=grown({}, "off", on=100, seed="launch", by="company"))
    assert asked(by_company, company="acme").variant == "on"
    assert asked(by_company, targetingKey="somebody").variant == "off"


def test_the_largest_hash_gets_a_variant() -> None:
    """It falls into the last bucket, however large the weights are."""
    for total in (1, 3, 100, 100_000, fractional.MAX_WEIGHT):
        assert fractional.bucket_of(2**32 - 1, total) == total - 1
        assert fractional.bucket_of(0, total) == 0


def test_somebody_at_the_very_end_of_the_line_gets_the_last_variant() -> None:
    """The one of 40,000 people whose hash is the largest is in the last bucket of a fine line."""
    last = max(range(40_000), key=lambda number: mmh3.hash(f"f{number}", signed=False))
    choose = fractional.operator(Fractional.V2)
    data = {"$flagd": {"flagKey": "f"}, "targetingKey": str(last)}
    assert choose(data, ["first", 9_999], ["last", 1]) == "last"


def at(line: Line, place: int) -> str:
    """Whose a place of the whole line is, in hundred-thousandths."""
    end = 0
    for variant, weight in line.segments:
        end += weight
        if place * line.total < end * WHOLE:
            return variant
    raise AssertionError("a place is on the line")


STEPS = st.lists(
    st.dictionaries(st.sampled_from("ab"), st.integers(0, 50).map(lambda share: share * PERCENT), min_size=1),
    min_size=1,
    max_size=6,
)
LINES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 60)), min_size=1, max_size=6)


@given(LINES, STEPS)
@LAW
def test_a_step_has_the_wanted_shares_and_moves_no_more_people_than_it_must(
    segments: Sequence[tuple[str, int]], steps: Sequence[Mapping[str, int]]
) -> None:
    """A variant that is not named keeps its share, and people only move from the default or to it."""
    line = Line(None, segments)
    for wanted in steps:
        before = line.shares()
        try:
            after = rollouts.grown(line, wanted, "c")
        except NoRollout:
            kept = sum(before.get(each, 0) for each in "ab" if each not in wanted)
            assert sum(wanted.values()) * line.total + kept * WHOLE > WHOLE * line.total
            return
        shares = after.shares()
        for each in "ab":
            share = wanted.get(each)
            was = before.get(each, 0) / line.total if share is None else share / WHOLE
            assert shares.get(each, 0) / after.total == pytest.approx(was)
        places = range(0, WHOLE, 97)
        moved = {(at(line, place), at(after, place)) for place in places} - {(each, each) for each in "abc"}
        free = before.get("c", 0) / line.total
        more = sum(max(0.0, share / WHOLE - before.get(each, 0) / line.total) for each, share in wanted.items())
        if more <= free + 1e-9:
            assert all("c" in each for each in moved)
        line = after


@given(LINES)
@LAW
def test_the_shares_that_a_line_has_change_nothing(segments: Sequence[tuple[str, int]]) -> None:
    """Nobody moves where nothing is wanted."""
    line = Line(None, segments)
    after = rollouts.grown(line, {}, "c")
    assert all(at(line, place) == at(after, place) for place in range(0, WHOLE, 997))


def test_a_rollout_is_what_the_targeting_ends_in() -> None:
    """The conditions before it stay."""
    first = {"if": [{"var": "staff"}, "on"]}
    assert grown(first, "off", on=5) == {"if": [{"var": "staff"}, "on", {"fractional": [["on", 5], ["off", 95]]}]}
    deeper = {"if": [{"var": "staff"}, "on", {"if": [{"var": "beta"}, "on", {"fractional": [["on", 1], ["off", 1]]}]}]}
    found = grown(deeper, "off", on=62.5)
    assert list(found["if"][2]["if"][2]) == ["fractional"]
    one = flag("f", targeting=found)
    assert asked(one, staff=True).variant == "on"
    assert Counter(variants_of(one, 2_000))["on"] / 2_000 == pytest.approx(0.625, abs=0.04)


@pytest.mark.parametrize(
    ("targeting", "default", "percents", "why"),
    [
        ({}, "", {"on": 5}, "no default_variant"),
        ({"if": [{"var": "staff"}, "on", "off"]}, "off", {"on": 5}, "ends in something other"),
        ({"cat": ["o", "n"]}, "off", {"on": 5}, "ends in something other"),
        ({"fractional": [[{"var": "x"}, 1]]}, "off", {"on": 5}, "computed"),
        ({"fractional": [["on", {"var": "x"}]]}, "off", {"on": 5}, "computed"),
        ({"fractional": [["on", 50], ["off", 50]]}, "off", {"other": 60}, "more than 100 percent"),
        ({"fractional": [["on", 2_147_483_646], ["off", 1]]}, "off", {"on": 5}, "cannot be counted"),
    ],
)
def test_what_cannot_be_rolled_out_says_why(
    targeting: Mapping[str, Any], default: str, percents: Mapping[str, float], why: str
) -> None:
    """Before anything has changed."""
    with pytest.raises(NoRollout, match=why):
        grown(targeting, default, percents)


@pytest.mark.parametrize(("percents", "why"), [([("a", 0.0001)], "decimals"), ([("a", 1), ("a", 2)], "twice")])
def test_shares_that_cannot_be_counted_are_refused(percents: Sequence[tuple[str, float]], why: str) -> None:
    """None is rounded, and none is left out."""
    with pytest.raises(ValueError, match=why):
        rollouts.in_thousandths(percents)


def test_a_share_of_a_thousandth_of_a_percent_is_exact() -> None:
    """And 33.333 percent, which no weight of 100 shows."""
    assert grown({}, "off", on=0.001) == {"fractional": [["on", 1], ["off", 99_999]]}
    assert grown({}, "off", on=33.333) == {"fractional": [["on", 33_333], ["off", 66_667]]}
