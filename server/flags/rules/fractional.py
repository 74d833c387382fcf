"""flagd's `fractional`: which part of the people somebody is in, by a hash that every server computes alike.

https://flagd.dev/reference/custom-operations/fractional-operation. Decision 29 says why there are two versions.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any

import cbor2
import mmh3

MAX_WEIGHT = 2**31 - 1
"""What all weights of one fractional may sum to."""
_TEXT, _PAIR = 0x60, b"\x82"
"""How CBOR begins a text, and a list of two (RFC 8949)."""


class Fractional(StrEnum):
    """The versions of the hash: they put the same people into different buckets."""

    V2 = "v2"
    """Hashes a text, as UTF-8; by default, the flag's key and the targetingKey concatenated."""
    V3 = "v3"
    """Hashes any value, as canonical CBOR; by default, the list of the flag's key and the targetingKey."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Whose bucket it was, and how that was found."""

    hashed: str
    """What was hashed, as JSON; empty where there was nothing to hash."""
    hash: int = 0
    bucket: int = 0
    total_weight: int = 0
    variant: Any = None


NOBODY = Choice("")
"""There was nothing to hash, or no weights: no variant is chosen."""


def bucket_of(hashed: int, total_weight: int) -> int:
    """The bucket of a hash of 32 bits: below the total, also for the largest hash there is."""
    return (hashed * total_weight) >> 32


def operator(version: Fractional) -> Callable[..., Any]:
    """The operator as JSONLogic calls it: with what `var` reads, and its arguments, evaluated."""
    bytes_of = _HASHED[version]

    def fractional(data: Any, *arguments: Any) -> Any:
        by, fractions = _parted(data, arguments)
        hashed = None if by is None else bytes_of(by)
        weights = None if hashed is None else _weights(fractions)
        if hashed is None or not weights:
            return None
        place = bucket_of(mmh3.hash(hashed, signed=False), sum(weights))
        return _at(fractions, weights, place)

    return fractional


def explained(version: Fractional, data: Any, arguments: Sequence[Any]) -> Choice:
    """What the operator does, step by step."""
    by, fractions = _parted(data, arguments)
    hashed = None if by is None else _HASHED[version](by)
    weights = None if hashed is None else _weights(fractions)
    if hashed is None or not weights:
        return NOBODY
    number, total = mmh3.hash(hashed, signed=False), sum(weights)
    place = bucket_of(number, total)
    what = "".join(by) if version is Fractional.V2 and isinstance(by, list) else by
    return Choice(json.dumps(what, ensure_ascii=False), number, place, total, _at(fractions, weights, place))


def _parted(data: Any, arguments: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """What to hash, None for nothing, and the fractions."""
    if arguments and not isinstance(arguments[0], list):
        return arguments[0], arguments[1:]
    own = data if isinstance(data, dict) else {}
    who = own.get("targetingKey")
    if not isinstance(who, str) or not who:
        return None, arguments
    return [own.get("$flagd", {}).get("flagKey", ""), who], arguments


def _weights(fractions: Sequence[Any]) -> Sequence[int] | None:
    """The weight of each; None where one is malformed, or where they sum to nothing, or to too much."""
    weights = []
    for each in fractions:
        if not isinstance(each, list) or not 1 <= len(each) <= 2:
            return None
        weight = each[1] if len(each) == 2 else 1
        if not isinstance(weight, int) or isinstance(weight, bool):
            return None
        # A computed weight below zero counts as zero.
        weights.append(max(0, weight))
    return weights if 0 < sum(weights) <= MAX_WEIGHT else None


def _at(fractions: Sequence[Any], weights: Sequence[int], bucket: int) -> Any:
    end = 0
    for fraction, weight in zip(fractions, weights, strict=True):
        end += weight
        if bucket < end:
            return fraction[0]
    raise AssertionError("a bucket is below the sum of the weights")


def _by_utf8(value: Any) -> bytes | None:
    text = "".join(value) if isinstance(value, list) else value
    return _utf8(text) if isinstance(text, str) else None


def _by_cbor(value: Any) -> bytes | None:
    if isinstance(value, list):
        texts = [_cbor_text(each) for each in value]
        return None if None in texts else _PAIR + b"".join(each for each in texts if each is not None)
    if isinstance(value, str):
        return _cbor_text(value)
    try:
        return cbor2.dumps(_whole(value), canonical=True)
    except (cbor2.CBOREncodeError, ValueError):
        return None


def _cbor_text(text: str) -> bytes | None:
    """As `cbor2` writes it, many times as fast: this is what each evaluation of a rollout hashes."""
    content = _utf8(text)
    if content is None:
        return None
    size = len(content)
    if size < 24:
        return bytes((_TEXT + size,)) + content
    if size < 256:
        return bytes((_TEXT + 24, size)) + content
    return cbor2.dumps(text, canonical=True)


def _utf8(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return None


def _whole(value: Any) -> Any:
    """The value with each number that is whole as an integer, so that 1 and 1.0 are one person."""
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, float) and isfinite(value) and value.is_integer() and -(2**63) <= value <= 2**64 - 1:
        return int(value)
    return value


_HASHED: dict[Fractional, Callable[[Any], bytes | None]] = {Fractional.V2: _by_utf8, Fractional.V3: _by_cbor}
