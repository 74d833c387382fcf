"""What is wrong with flags as they would be: found when they are written, so that no bad flag reaches a client."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import orjson

from server.flags.rules import logic, targeting
from server.flags.rules.kinds import type_of
from server.frame.errors import FieldViolation
from storage.flags.records import Flag, FlagType, Segment

MAX_BYTES = 64 * 1024
"""How large the variants, a targeting or a segment may be as JSON."""
MAX_DEPTH = 50
MAX_METADATA = 50
DEEPEST_CHAIN = 10
"""How many flags may depend on each other in a row."""
EXACT = 2**53
"""Up to here, every client reads a whole number as it is."""


@dataclass(frozen=True, slots=True)
class Written:
    """The flags and segments of one set as they would be, by their keys and names; nothing archived."""

    flags: Mapping[str, Flag]
    segments: Mapping[str, Any]


def problems_of_flag(flag: Flag, written: Written, path: str = "flag") -> Sequence[FieldViolation]:
    """What is wrong with one flag of a set, by paths such as "flag.targeting.if[1]"; other flags are taken as right."""
    found = list(_plain_problems(flag, path))
    if found:
        return found
    found += targeting.problems(flag.targeting, f"{path}.targeting", flag.variants, written.segments)
    return [*found, *_prerequisite_problems(flag, written.flags, f"{path}.prerequisites")]


def problems_of_segment(segment: Segment, written: Written, path: str = "segment") -> Sequence[FieldViolation]:
    """What is wrong with a segment, and with the flags of its set that are refused because of it."""
    if segment.rule is None:
        return [FieldViolation(f"{path}.rule", "is required")]
    found = [*_json_problems(segment.rule, f"{path}.rule")]
    found = found or list(targeting.problems(segment.rule, f"{path}.rule", None, written.segments))
    if found:
        return found
    dependents = [each for each in written.flags.values() if segment.name in _reached(each.targeting, written.segments)]
    return [each for flag in dependents for each in problems_of_flag(flag, written, f"flags.{flag.key}")]


def problems_of_set(written: Written) -> Sequence[FieldViolation]:
    """What is wrong with all flags and segments of a set, by paths such as "flags.<key>.variants"."""
    found = []
    for name, rule in written.segments.items():
        path = f"$evaluators.{name}"
        if rule is None or not name.isprintable() or not name.strip():
            found.append(FieldViolation(path, "must have a name of printable characters, and a rule"))
        found += [*_json_problems(rule, path)] or targeting.problems(rule, path, None, written.segments)
    for key, flag in written.flags.items():
        found += problems_of_flag(flag, written, f"flags.{key}")
    return found


def problems_of_metadata(metadata: Mapping[str, Any], path: str) -> Iterator[FieldViolation]:
    if len(metadata) > MAX_METADATA:
        yield FieldViolation(path, f"must hold at most {MAX_METADATA} values")
    for key, value in metadata.items():
        if not key:
            yield FieldViolation(path, "must name each value")
        elif not isinstance(value, str | int | float):
            yield FieldViolation(f"{path}.{key}", "must be a text, a number or a boolean")
    yield from _json_problems(metadata, path)


def dependents_of(flag_key: str, flags: Iterable[Flag]) -> Sequence[str]:
    """The keys of the flags that name this one as a prerequisite."""
    return sorted(each.key for each in flags if any(one.flag_key == flag_key for one in each.prerequisites))


def users_of(segment: str, written: Written) -> Sequence[str]:
    """The flags and segments that refer to a segment, by paths such as "flags.<key>"."""
    flags = [f"flags.{key}" for key, each in written.flags.items() if segment in set(logic.references(each.targeting))]
    segments = [f"$evaluators.{name}" for name, rule in written.segments.items() if segment in logic.references(rule)]
    return sorted((*flags, *segments))


def _plain_problems(flag: Flag, path: str) -> Iterator[FieldViolation]:
    """What is wrong with the flag regardless of other flags and segments."""
    if not flag.key.strip() or not flag.key.isprintable():
        yield FieldViolation(f"{path}.key", "must be one line of printable characters, and not blank")
    yield from _variant_problems(flag, f"{path}.variants")
    if flag.default_variant and flag.default_variant not in flag.variants:
        yield FieldViolation(f"{path}.default_variant", "must be one of the variants")
    yield from problems_of_metadata(flag.metadata, f"{path}.metadata")
    yield from _json_problems(flag.targeting, f"{path}.targeting")


def _variant_problems(flag: Flag, path: str) -> Iterator[FieldViolation]:
    if not flag.variants:
        yield FieldViolation(path, "must hold at least one variant")
    for name, value in flag.variants.items():
        if not name:
            yield FieldViolation(path, "must name each variant")
            continue
        kind = type_of(value)
        if kind is None:
            yield FieldViolation(f"{path}.{name}", "must be a boolean, a text, a number or an object")
        elif not _fits(kind, flag.type):
            yield FieldViolation(f"{path}.{name}", f"is of the type {kind}, and the flag is of the type {flag.type}")
    yield from _json_problems(flag.variants, path)


def _fits(kind: FlagType, wanted: FlagType) -> bool:
    return kind is wanted or (kind is FlagType.INTEGER and wanted is FlagType.FLOAT)


def _json_problems(value: Any, path: str) -> Iterator[FieldViolation]:
    """What no client, or no database, can keep as it is."""
    found = list(_odd(value, path, 0))
    yield from found[:1]
    if not found and len(orjson.dumps(value)) > MAX_BYTES:
        yield FieldViolation(path, f"must be at most {MAX_BYTES:,} bytes as JSON")


def _odd(value: Any, path: str, depth: int) -> Iterator[FieldViolation]:
    if depth > MAX_DEPTH:
        yield FieldViolation(path, f"must be at most {MAX_DEPTH} levels deep")
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _odd_text(key, path)
            yield from _odd(each, path, depth + 1)
    elif isinstance(value, list):
        for each in value:
            yield from _odd(each, path, depth + 1)
    else:
        yield from _odd_text(value, path) if isinstance(value, str) else _odd_number(value, path)


def _odd_number(value: object, path: str) -> Iterator[FieldViolation]:
    if isinstance(value, float) and not isfinite(value):
        yield FieldViolation(path, "must not hold a number that is infinite, or none")
    elif isinstance(value, int) and abs(value) > EXACT:
        yield FieldViolation(path, "must not hold a whole number beyond 2^53, which clients would round")


def _odd_text(text: str, path: str) -> Iterator[FieldViolation]:
    if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
        yield FieldViolation(path, "must not hold the character NUL, or half a surrogate pair")


def _prerequisite_problems(flag: Flag, flags: Mapping[str, Flag], path: str) -> Iterator[FieldViolation]:
    for place, each in enumerate(flag.prerequisites):
        other = flags.get(each.flag_key)
        if each.flag_key == flag.key:
            yield FieldViolation(f"{path}[{place}].flag_key", "must name another flag")
        elif other is None:
            yield FieldViolation(f"{path}[{place}].flag_key", "must be the key of a flag of the same flag set")
        elif unknown := sorted(set(each.variants) - other.variants.keys()):
            yield FieldViolation(f"{path}[{place}].variants", f"the other flag has no variant {unknown[0]}")
    chain = _chain(flag.key, {**flags, flag.key: flag}, ())
    if chain and chain[-1] == flag.key:
        yield FieldViolation(path, f"must not depend on the flag itself: {' → '.join(chain)}")
    elif len(chain) > DEEPEST_CHAIN:
        yield FieldViolation(path, f"must not make a chain of more than {DEEPEST_CHAIN} flags: {' → '.join(chain)}")


def _chain(key: str, flags: Mapping[str, Flag], above: tuple[str, ...]) -> tuple[str, ...]:
    """A way from the first flag that comes back to it, or the longest there is, as far as one is too long."""
    here = (*above, key)
    if len(here) > DEEPEST_CHAIN or (above and key == above[0]) or key not in flags:
        return here if above else ()
    longest: tuple[str, ...] = here if above else ()
    for each in dict.fromkeys(one.flag_key for one in flags[key].prerequisites):
        found = _chain(each, flags, here)
        if len(found) > len(longest):
            longest = found
        if found and found[-1] == here[0]:
            return found
    return longest


def _reached(rule: Any, segments: Mapping[str, Any]) -> set[str]:
    """The segments that a rule refers to, directly or through others."""
    found: set[str] = set()
    waiting = list(logic.references(rule))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += logic.references(segments.get(name))
    return found
