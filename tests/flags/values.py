"""Plain values of flags, for tests of rules and repositories."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import strategies as st

from server.flags.rules.evaluating import Evaluation, evaluated
from server.flags.rules.fractional import Fractional
from server.flags.rules.kinds import type_of_all
from server.flags.rules.snapshots import Snapshot
from storage.flags.records import Configuration, Flag, FlagSet, FlagState, FlagType, Segment
from tests.fixtures.examples import examples

LAW = examples(200)
"""How a law is tried: no example is too slow, for the machine may be busy."""

NOW = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SECONDS = 1_777_777_777
WHO = UUID(int=7)

ON_OFF: Mapping[str, Any] = {"on": True, "off": False}


def flag(
    key: str, variants: Mapping[str, Any] = ON_OFF, default: str = "off", targeting: Any = None, **other: Any
) -> Flag:
    values: dict[str, Any] = {
        "id": uuid4(),
        "flag_set_id": "",
        "key": key,
        "type": type_of_all(variants.values()) or FlagType.OBJECT,
        "state": FlagState.ENABLED,
        "variants": variants,
        "default_variant": default,
        "targeting": targeting or {},
        "metadata": {},
        "prerequisites": (),
        "description": "",
        "owner": "",
        "ticket": "",
        "expire_time": None,
        "archived": False,
        "version": 1,
        "create_time": NOW,
        "update_time": NOW,
    }
    return Flag(**{**values, **other})


def segment(name: str, rule: Any, flag_set_id: str = "", **other: Any) -> Segment:
    values = {"description": "", "archived": False, "version": 1, "create_time": NOW, "update_time": NOW}
    return Segment(uuid4(), flag_set_id, name, rule, **{**values, **other})


def flag_set(set_id: str = "", **metadata: Any) -> FlagSet:
    return FlagSet(set_id, metadata, "", 1, NOW, NOW)


def snapshot(
    *flags: Flag,
    segments: tuple[Segment, ...] = (),
    sets: tuple[FlagSet, ...] = (),
    version: Fractional = Fractional.V3,
) -> Snapshot:
    return Snapshot.empty(version).after(Configuration(1, flags, segments, sets))


def asked(what: Snapshot | Flag, key: str = "", /, flag_set_id: str = "", **context: Any) -> Evaluation:
    """What a flag evaluates to, in a snapshot or by itself."""
    if isinstance(what, Flag):
        return evaluated(snapshot(what).view(what.flag_set_id), what.key, context, SECONDS)
    return evaluated(what.view(flag_set_id), key, context, SECONDS)


VARS = ("email", "plan", "age", "beta", "tags", "address.city", "version", "targetingKey", "nothing", "$flagd.flagKey")
TEXTS = st.sampled_from(
    ["", "a", "pro", "free", "joe@example.com", "example", "1.2.3", "1.10.0", "v2", "10", "über", "b"]
)
NUMBERS = st.integers(-3, 20) | st.sampled_from([0.5, 1.5, 2.0])
LITERALS = TEXTS | NUMBERS | st.booleans() | st.none()
VAR = st.sampled_from(VARS).map(lambda name: {"var": name})


def _operations(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def of(names: list[str], least: int, most: int) -> st.SearchStrategy[Any]:
        arguments = st.lists(inner, min_size=least, max_size=most)
        return st.builds(lambda name, given: {name: given}, st.sampled_from(names), arguments)

    return st.one_of(
        of(["==", "!=", "===", "!==", "<", "<=", ">", ">=", "in", "starts_with", "ends_with", "+", "-", "*"], 2, 2),
        of(["and", "or", "cat", "merge", "min", "max"], 1, 3),
        of(["!", "!!"], 1, 1),
        of(["if"], 1, 5),
        st.builds(
            lambda one, how, other: {"sem_ver": [one, how, other]},
            inner,
            st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "^", "~"]),
            inner,
        ),
    )


CONDITIONS = st.recursive(VAR | LITERALS, _operations, max_leaves=12)
VARIANTS = ("red", "green", "blue", "true")
SHARES: st.SearchStrategy[list[Any]] = st.lists(
    st.tuples(st.sampled_from(VARIANTS), st.integers(0, 100)).map(list), min_size=1, max_size=5
).filter(lambda shares: any(weight for _, weight in shares))
FRACTIONALS = SHARES.map(lambda shares: {"fractional": shares}) | st.builds(
    lambda by, shares: {"fractional": [by, *shares]}, VAR | st.just({"cat": ["seed", {"var": "email"}]}), SHARES
)
RESULTS = st.sampled_from(VARIANTS) | st.none() | st.just(True) | FRACTIONALS
TARGETINGS = st.recursive(
    RESULTS,
    lambda inner: st.lists(st.tuples(CONDITIONS, inner), min_size=1, max_size=3).flatmap(
        lambda rules: st.one_of(st.just([]), inner.map(lambda last: [last])).map(
            lambda last: {"if": [*(each for rule in rules for each in rule), *last]}
        )
    ),
    max_leaves=5,
).filter(lambda rule: isinstance(rule, dict))
CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "targetingKey": TEXTS | st.integers(0, 10**6).map(lambda number: f"user-{number}"),
        "email": TEXTS,
        "plan": TEXTS,
        "age": NUMBERS,
        "beta": st.booleans() | st.none(),
        "tags": st.lists(TEXTS, max_size=3),
        "address": st.fixed_dictionaries({"city": TEXTS}),
        "version": TEXTS,
    },
)
