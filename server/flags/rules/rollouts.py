"""Which part of the people gets which variant, and how shares grow by people of the default variant alone.

A rollout is the `fractional` that a targeting ends in. Its shares are segments of a line that everybody has a fixed
place on; changing weights in place would move the ends of all segments behind, and with them people who should stay.
So a variant that grows takes its part out of segments of the default, wherever those are, and nobody else moves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from typing import Any

from server.flags.rules import logic
from server.flags.rules.evaluating import TARGETING_KEY
from server.flags.rules.fractional import MAX_WEIGHT

WHOLE = 100_000
"""A share is counted in thousandths of a percent."""
MAX_SEGMENTS = 1_000

Segments = Sequence[tuple[str, int]]
"""A variant and its weight, from the beginning of the line to its end."""


class NoRollout(Exception):
    """The targeting, or the flag, does not allow such shares; the text says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """The fractional that a targeting ends in."""

    by: Any
    """What is hashed, as JSONLogic; None for the flag's key with the targetingKey."""
    segments: Segments

    def shares(self) -> Mapping[str, int]:
        """What each variant has of the whole, in weights of it."""
        found: dict[str, int] = {}
        for variant, weight in self.segments:
            found[variant] = found.get(variant, 0) + weight
        return found

    @property
    def total(self) -> int:
        return sum(weight for _, weight in self.segments)


def line_of(targeting: Mapping[str, Any], default_variant: str) -> Line:
    """The line that a targeting ends in; all of it the default's where there is none yet. Raises NoRollout."""
    if not default_variant:
        raise NoRollout("it has no default_variant, whose people would move")
    tail = _tail(targeting)
    if tail is None:
        return Line(None, [(default_variant, WHOLE)])
    if not isinstance(tail, dict) or list(tail) != [logic.FRACTIONAL]:
        raise NoRollout("its targeting ends in something other than shares")
    _, arguments = logic.arguments_of(tail)
    by = None if isinstance(arguments[0], list) else arguments[0]
    segments = [_segment(each) for each in arguments[0 if by is None else 1 :]]
    return Line(by, segments)


def with_line(targeting: Mapping[str, Any], line: Line) -> Mapping[str, Any]:
    """The targeting with this line at its end; what it asks before stays."""
    shares = [[variant, weight] for variant, weight in line.segments]
    tail = {logic.FRACTIONAL: shares if line.by is None else [line.by, *shares]}
    return _with_tail(targeting, tail)


def seeded(line: Line, seed: str, bucket_by: str) -> Line:
    """The line with another seed; the same one where none is given."""
    if not seed:
        return line
    who = {"var": bucket_by or TARGETING_KEY}
    # People without such a value get the default: they are not one person who is in one bucket.
    return Line({"if": [who, {"cat": [seed, who]}, None]}, line.segments)


def grown(line: Line, wanted: Mapping[str, int], default_variant: str) -> Line:
    """The line with these shares, in thousandths of a percent; a variant that is not named keeps its share.

    Whoever moves comes from the default variant or goes to it, unless more is wanted than the default has:
    then what other variants give up is handed on. Raises NoRollout where the shares do not fit.
    """
    segments = _scaled(line.segments, lcm(line.total, WHOLE))
    total = sum(weight for _, weight in segments)
    if total > MAX_WEIGHT:
        raise NoRollout(f"its weights sum to {line.total:,}, which shares of a percent cannot be counted in")
    now = Line(line.by, segments).shares()
    then = {variant: share * (total // WHOLE) for variant, share in wanted.items() if variant != default_variant}
    others = sum(weight for variant, weight in now.items() if variant != default_variant and variant not in then)
    if sum(then.values()) + others > total:
        raise NoRollout("the shares are more than 100 percent together, with those that stay as they are")
    more = {variant: size - now.get(variant, 0) for variant, size in then.items() if size > now.get(variant, 0)}
    less = {variant: now.get(variant, 0) - size for variant, size in then.items() if size < now.get(variant, 0)}
    segments = _given_up(_taken(segments, more, default_variant), less, default_variant)
    segments = _merged(_taken(segments, more, default_variant))
    if len(segments) > MAX_SEGMENTS:
        raise NoRollout(f"its shares would lie in more than {MAX_SEGMENTS:,} pieces: set a new seed")
    return Line(line.by, _reduced(segments))


def _taken(segments: Segments, more: dict[str, int], default_variant: str) -> Segments:
    """Takes what is wanted more out of the default's segments, from the beginning on; `more` keeps what is lacking."""
    found: list[tuple[str, int]] = []
    for variant, weight in segments:
        left = weight
        if variant == default_variant:
            for other in more:
                part = min(left, more[other])
                if part:
                    found.append((other, part))
                    more[other] -= part
                    left -= part
        if left or not weight:
            found.append((variant, left))
    return found


def _given_up(segments: Segments, less: dict[str, int], default_variant: str) -> Segments:
    """Gives the default what others have too much, from the end on."""
    found: list[tuple[str, int]] = []
    for variant, weight in reversed(segments):
        part = min(weight, less.get(variant, 0))
        if part:
            less[variant] -= part
            found.append((default_variant, part))
        if weight - part:
            found.append((variant, weight - part))
    return found[::-1]


def _merged(segments: Segments) -> Segments:
    found: list[tuple[str, int]] = []
    for variant, weight in segments:
        if not weight:
            continue
        if found and found[-1][0] == variant:
            found[-1] = (variant, found[-1][1] + weight)
        else:
            found.append((variant, weight))
    return found


def _scaled(segments: Segments, total: int) -> Segments:
    """The same line in finer weights: everybody's place stays, as it is a part of the whole."""
    times = total // sum(weight for _, weight in segments)
    return [(variant, weight * times) for variant, weight in segments]


def _reduced(segments: Segments) -> Segments:
    """The same line in the smallest weights that show it."""
    total = sum(weight for _, weight in segments)
    for percent in (100, 1_000, 10_000):
        if total % percent == 0 and all(weight % (total // percent) == 0 for _, weight in segments):
            return [(variant, weight // (total // percent)) for variant, weight in segments]
    return segments


def _segment(share: Any) -> tuple[str, int]:
    variant, weight = share[0], share[1] if len(share) == 2 else 1
    if not isinstance(variant, str) or not isinstance(weight, int):
        raise NoRollout("its shares are computed")
    return variant, weight


def _tail(rule: Any) -> Any:
    """What a targeting ends in: what is left where no condition matched."""
    if not isinstance(rule, dict) or not rule:
        return None
    operator, arguments = logic.arguments_of(rule)
    if operator not in logic.BRANCHES:
        return rule
    return _tail_or_value(arguments[-1]) if len(arguments) % 2 else None


def _tail_or_value(rule: Any) -> Any:
    return _tail(rule) if isinstance(rule, dict) else rule


def _with_tail(rule: Any, tail: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(rule, dict) or not rule:
        return tail
    operator, arguments = logic.arguments_of(rule)
    if operator not in logic.BRANCHES:
        return tail
    if len(arguments) % 2:
        return {operator: [*arguments[:-1], _with_tail(arguments[-1], tail)]}
    return {operator: [*arguments, tail]}


def in_thousandths(percents: Iterable[tuple[str, float]]) -> Mapping[str, int]:
    """Shares of percents in thousandths of them; raises ValueError where one is finer, or a variant comes twice."""
    found: dict[str, int] = {}
    for variant, percent in percents:
        share = round(percent * 1_000)
        if abs(share - percent * 1_000) > 1e-6:
            raise ValueError(f"the share of {variant} has more than three decimals")
        if variant in found:
            raise ValueError(f"the variant {variant} comes twice")
        found[variant] = share
    return found
