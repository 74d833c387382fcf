"""Who came back: cohorts out of what was counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from server.events.rules.windows import Bucket
from storage.events.measures import Returned


@dataclass(frozen=True, slots=True)
class CohortCounts:
    """The people who first did something in one bucket."""

    bucket: Bucket
    people: int
    returned: tuple[int, ...]
    """How many of them did the other thing in the same bucket, in the next one, and so on to the last."""
    partial: bool
    """Whether the last of these is not final."""


def cohorts_of(buckets: Sequence[Bucket], found: Sequence[Returned], now: datetime) -> Sequence[CohortCounts]:
    """A cohort for each bucket, also where nobody is in it."""
    people = {each.cohort: each.people for each in found if each.later is None}
    returned = {(each.cohort, each.later): each.people for each in found}
    partial = buckets[-1].partial(now)
    return [
        CohortCounts(
            bucket,
            people.get(place, 0),
            tuple(returned.get((place, later), 0) for later in range(len(buckets) - place)),
            partial,
        )
        for place, bucket in enumerate(buckets)
    ]
