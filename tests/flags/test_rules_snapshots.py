"""Snapshots: replaced as a whole, made of what changed, and compared."""

import time
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from server.flags.rules.evaluating import evaluated
from server.flags.rules.fractional import Fractional
from server.flags.rules.snapshots import Snapshot, differences
from storage.flags.records import Configuration, Flag, FlagSet, FlagState, Prerequisite, Segment
from tests.flags.values import LAW, SECONDS, asked, flag, flag_set, segment, snapshot


def news(
    version: int, *flags: Flag, segments: tuple[Segment, ...] = (), sets: tuple[FlagSet, ...] = ()
) -> Configuration:
    return Configuration(version, flags, segments, sets)


def test_what_is_not_newer_changes_nothing() -> None:
    """A late answer about an earlier version is not taken."""
    made = snapshot(flag("f"))
    assert made.after(news(1, flag("g"))) is made
    assert made.after(news(0, flag("g"))) is made


def test_an_earlier_snapshot_stays_as_it_was() -> None:
    """Whoever evaluates by it is not disturbed."""
    first = snapshot(flag("f"), flag("g"))
    second = first.after(news(2, flag("f", default="on"), replace(flag("g"), archived=True)))
    assert (asked(first, "f").variant, asked(second, "f").variant) == ("off", "on")
    assert (set(first.view("").flags), set(second.view("").flags)) == ({"f", "g"}, {"f"})
    assert (first.version, second.version) == (1, 2)


def test_a_changed_segment_is_followed_by_its_flags() -> None:
    """And the set's metadata by all of them."""
    one = flag("f", targeting={"if": [{"$ref": "s"}, "on"]})
    first = snapshot(one, segments=(segment("s", {"var": "beta"}),))
    second = first.after(news(2, segments=(segment("s", {"var": "staff"}),), sets=(flag_set(team="x"),)))
    assert (asked(first, "f", staff=True).variant, asked(second, "f", staff=True).variant) == ("off", "on")
    assert asked(second, "f").metadata == {"team": "x"}
    assert differences(first.view(""), second.view("")) == {"f": "update"}


def test_differences_tell_what_clients_are_answered_otherwise() -> None:
    """Not what clients never receive, such as a description; but flags that depend on a changed one."""
    needs = (Prerequisite("changed", ("on",)),)
    dependent = flag("dependent", targeting={"if": [True, "on"]}, prerequisites=needs)
    first = snapshot(flag("same"), flag("changed"), flag("told"), flag("gone"), dependent)
    second = first.after(
        news(
            2,
            flag("told", description="new", owner="ada"),
            flag("changed", state=FlagState.DISABLED),
            flag("new"),
            replace(flag("gone"), archived=True),
        )
    )
    found = differences(first.view(""), second.view(""))
    assert found == {"changed": "update", "new": "create", "gone": "delete", "dependent": "update"}


KEYS = st.sampled_from(["a", "b", "c"])
CHANGES = st.lists(
    st.one_of(
        st.builds(lambda key, default: flag(key, default=default), KEYS, st.sampled_from(["on", "off"])),
        st.builds(lambda key: flag(key, archived=True), KEYS),
        st.builds(lambda key: flag(key, targeting={"if": [{"$ref": "s"}, "on"]}), KEYS),
        st.builds(lambda rule: segment("s", rule), st.booleans()),
    ),
    max_size=8,
)


@given(CHANGES)
@LAW
def test_step_by_step_and_at_once_are_one(changes: list[Flag | Segment]) -> None:
    """What changed is compiled as the whole would be."""
    start = (segment("s", False),)
    steps = snapshot(segments=start)
    last: dict[tuple[type, str], Flag | Segment] = {(type(start[0]), "s"): start[0]}
    for version, each in enumerate(changes, 2):
        flags, segments = ([each], []) if isinstance(each, Flag) else ([], [each])
        steps = steps.after(Configuration(version, flags, segments, ()))
        last[type(each), getattr(each, "key", "s")] = each
    all_flags = [each for each in last.values() if isinstance(each, Flag)]
    all_segments = [each for each in last.values() if isinstance(each, Segment)]
    whole = Snapshot.empty(Fractional.V3).after(Configuration(99, all_flags, all_segments, ()))
    assert not differences(steps.view(""), whole.view(""))


def test_ten_thousand_flags_cost_no_more_than_ten() -> None:
    """Of a flag with three rules; the fastest of many rounds, taken by turns, so that a busy machine bears on both."""
    rule = {
        "if": [
            {"ends_with": [{"var": "email"}, "@example.com"]},
            "on",
            {"in": [{"var": "country"}, ["GB", "IE"]]},
            "off",
            {"==": [{"var": "plan"}, "pro"]},
            {"fractional": [["on", 10], ["off", 90]]},
        ]
    }
    views = [
        snapshot(*(flag(f"f{number}", targeting=rule) for number in range(many))).view("") for many in (10, 10_000)
    ]
    context = {"email": "joe@else.org", "country": "DE", "plan": "pro", "targetingKey": "user-1"}
    best = [float("inf"), float("inf")]
    for _ in range(60):
        for place, view in enumerate(views):
            begin = time.perf_counter()
            for number in range(100):
                evaluated(view, f"f{number % 10}", context, SECONDS)
            best[place] = min(best[place], time.perf_counter() - begin)
    assert best[1] < best[0] * 1.1
