"""Rollups and single events cover each bucket once, and no rollup is used that is not exact."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from server.events.rules.covering import covered
from server.events.rules.windows import Bucket
from storage.events.measures import Level, Rolled, Span
from tests.fixtures.examples import examples

_BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
_LENGTHS = {Level.MINUTE: timedelta(minutes=1), Level.HOUR: timedelta(hours=1), Level.DAY: timedelta(days=1)}
_SECONDS = 4 * 86_400


def at(seconds: int) -> datetime:
    return _BEGIN + timedelta(seconds=seconds)


@st.composite
def divided(draw: st.DrawFn) -> list[Bucket]:
    """Buckets one after the other, that begin at any second, and mostly at whole minutes or hours."""
    unit = draw(st.sampled_from((1, 60, 900, 3600, 86_400)))
    places = sorted(draw(st.sets(st.integers(0, _SECONDS // unit), min_size=2, max_size=12)))
    return [Bucket(at(one * unit), at(other * unit)) for one, other in pairwise(places)]


touched = st.lists(
    st.builds(
        lambda start, minutes: Span(at(start * 60), at((start + minutes) * 60)),
        st.integers(-100, _SECONDS // 60),
        st.sampled_from((1, 1, 1, 60, 1440)),
    ),
    max_size=12,
)


@given(buckets=divided(), touched=touched)
@examples(300)
def test_each_moment_is_counted_once_and_by_what_is_exact(buckets: list[Bucket], touched: list[Span]) -> None:
    """What is read is the whole period without a gap or an overlap; a rollup lies in one bucket, and is not touched."""
    found = covered(buckets, touched)
    pieces = sorted(
        [*((each.start, each.end) for each in found.rolled), *((each.start, each.end) for each in found.raw)]
    )
    joined = [pieces[0]]
    for start, end in pieces[1:]:
        assert start == joined[-1][1]
        joined[-1] = (joined[-1][0], end)
    assert joined == [(buckets[0].start, buckets[-1].end)]
    for each in found.rolled:
        for start, end in single(each):
            assert any(bucket.start <= start and end <= bucket.end for bucket in buckets)
            assert not any(span.start < end and start < span.end for span in touched)


def single(rolled: Rolled) -> list[tuple[datetime, datetime]]:
    """The rollups of one stretch, each of which begins at a whole bucket of its level."""
    length = _LENGTHS[rolled.level]
    assert (rolled.start - _BEGIN) % length == timedelta(0)
    number = (rolled.end - rolled.start) // length
    return [(rolled.start + place * length, rolled.start + (place + 1) * length) for place in range(number)]


@given(buckets=divided())
@examples(100)
def test_the_longest_rollups_are_taken(buckets: list[Bucket]) -> None:
    """Of an untouched day that lies in one bucket, its own rollup is read, and nothing shorter."""
    found = covered(buckets, [])
    for day in (at(86_400 * number) for number in range(4)):
        if any(bucket.start <= day and day + _LENGTHS[Level.DAY] <= bucket.end for bucket in buckets):
            assert any(
                each.level is Level.DAY and each.start <= day and day + _LENGTHS[Level.DAY] <= each.end
                for each in found.rolled
            )
