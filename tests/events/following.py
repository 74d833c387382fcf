"""Funnels and retention by a plain reading of all events, for tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from server.events.rules.windows import Bucket
from storage.events.measures import Funnel, Measure, Step
from tests.events.counting import Happened, counting, text_of, value_of


@dataclass(frozen=True, slots=True)
class Reached:
    """How far one person came."""

    step: int
    group: str | None


def reached(events: Sequence[Happened], funnel: Funnel) -> dict[str, Reached]:
    """By every way that each person can have gone: from each event of the first step, the soonest of each next one."""
    found: dict[str, Reached] = {}
    for person in sorted({each.subject for each in events} - {""}):
        mine = [each for each in events if each.subject == person]
        of_steps = [sorted(of_step(mine, step), key=_order) for step in funnel.steps]
        begun = [each for each in of_steps[0] if funnel.start <= each.time < funnel.end]
        if begun:
            farthest = max(_from(first, of_steps, funnel) for first in begun)
            group = text_of(value_of(begun[0], funnel.breakdown)) if funnel.breakdown else None
            found[person] = Reached(farthest, group)
    return found


def _from(first: Happened, of_steps: Sequence[Sequence[Happened]], funnel: Funnel) -> int:
    at = first.time
    for number, events in enumerate(of_steps[1:], 1):
        later = [each.time for each in events if at < each.time <= first.time + funnel.window]
        if not later:
            return number
        at = min(later)
    return len(of_steps)


def of_step(events: Sequence[Happened], step: Step) -> list[Happened]:
    return counting(events, Measure(step.event_type, filters=step.filters))


def _order(event: Happened) -> tuple[object, ...]:
    return event.time, f"{event.source} {event.id}"


def returned(
    events: Sequence[Happened], first: Step, returning: Step, buckets: Sequence[Bucket]
) -> list[tuple[int, tuple[int, ...]]]:
    """How many people each cohort has, and how many of them did the other thing in each bucket from theirs on."""
    cohorts: list[set[str]] = [set() for _ in buckets]
    came: list[list[set[str]]] = [[set() for _ in buckets[place:]] for place in range(len(buckets))]
    for person in {each.subject for each in events} - {""}:
        mine = [each for each in events if each.subject == person]
        begun = [each.time for each in of_step(mine, first) if buckets[0].start <= each.time < buckets[-1].end]
        if not begun:
            continue
        start = min(begun)
        cohort = _place(start, buckets)
        cohorts[cohort].add(person)
        for each in of_step(mine, returning):
            if start <= each.time < buckets[-1].end:
                came[cohort][_place(each.time, buckets) - cohort].add(person)
    return [(len(people), tuple(map(len, later))) for people, later in zip(cohorts, came, strict=True)]


def _place(time: datetime, buckets: Sequence[Bucket]) -> int:
    (found,) = (place for place, each in enumerate(buckets) if each.start <= time < each.end)
    return found
