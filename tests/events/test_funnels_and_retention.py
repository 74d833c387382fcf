"""Who came how far, and who came back, is what a plain reading of all events says."""

import random
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from backroom.events.v1 import event_queries_pb2 as queries
from backroom.events.v1 import event_query_service_pb2 as pb
from server.events.rules.asking import Period
from server.events.rules.windows import Granularity, buckets
from server.events.service.counting import Counting
from server.events.service.slow_readings import SlowReadings
from server.frame.local_time import time_zone
from server.frame.wire import timestamp
from storage.database import Database
from storage.events.measures import FilterOperator, Funnel, FunnelCounts, PropertyFilter, Step
from storage.events.store import EVENTS, EVENTS_CONFIGURATION
from tests.events import asking
from tests.events.asking import event, period, sent, where
from tests.events.counting import BEGIN, Happened, add
from tests.events.following import Reached, reached, returned
from tests.fixtures.servers import Api, Running, refusal

_TYPES = ("seen", "carted", "paid")
_NOW = datetime(2026, 4, 10, tzinfo=UTC)
_PEOPLE = 40
_RICH = PropertyFilter("total", FilterOperator.GREATER, ("3",))


def random_events(chance: random.Random, number: int) -> list[Happened]:
    """Of few people within two days, often at the same second."""
    return [
        Happened(
            f"e{place}",
            BEGIN + timedelta(minutes=chance.randrange(0, 2 * 24 * 60, chance.choice((1, 60)))),
            {"total": chance.randrange(6), "plan": chance.choice(("free", "pro", None, "old", 1, 1.0))},
            chance.choice(_TYPES),
            chance.choice(("", *(f"p{person}" for person in range(_PEOPLE)))),
        )
        for place in range(number)
    ]


def random_funnel(chance: random.Random) -> Funnel:
    start = BEGIN + timedelta(hours=chance.randrange(12))
    return Funnel(
        steps=tuple(
            Step(chance.choice(_TYPES), (_RICH,) if chance.random() < 0.3 else ())
            for _ in range(chance.randrange(2, 5))
        ),
        start=start,
        end=start + timedelta(hours=chance.randrange(1, 40)),
        window=timedelta(minutes=chance.choice((30, 60, 240, 1440))),
        breakdown=chance.choice(("", "plan")),
    )


def counting_of(database: Database) -> Counting:
    return Counting(SlowReadings(database.store(EVENTS)), database.store(EVENTS_CONFIGURATION), lambda: _NOW)


async def all_people(
    count: Counting, funnel: Funnel, step: int, group: tuple[str | None] | None = None
) -> list[tuple[str, int]]:
    """The whole list, page by page."""
    found: list[tuple[str, int]] = []
    after: str | None = None
    while page := await count.funnel_people(funnel, step, group, after=after, limit=7):
        found += [(each.subject, each.reached) for each in page]
        after = page[-1].subject
    return found


async def test_a_funnel_counts_the_people_that_it_lists(database: Database) -> None:
    """Counts, in all and of each group, are those of a plain reading and of the list of people."""
    chance = random.Random(7)  # noqa: S311 - not a secret
    events = random_events(chance, 500)
    await add(database, events)
    count = counting_of(database)
    for _ in range(12):
        funnel = random_funnel(chance)
        expected = reached(events, funnel)
        total, found = await count.funnel(funnel, 2)
        for number, people in enumerate(total, 1):
            there = {person: each for person, each in expected.items() if each.step >= number}
            assert people == len(there)
            assert await all_people(count, funnel, number) == sorted(
                (person, each.step) for person, each in there.items()
            )
        if funnel.breakdown:
            await check_groups(count, funnel, expected.values(), found)


async def check_groups(
    count: Counting, funnel: Funnel, people: Collection[Reached], found: Sequence[FunnelCounts]
) -> None:
    expected = Counter(each.group for each in people)
    ranked = sorted(expected, key=lambda group: (-expected[group], group is None, group or ""))
    assert [each.group for each in found if each.rank] == ranked[:2]
    for each in found:
        if each.rank:
            steps = range(1, len(funnel.steps) + 1)
            assert list(each.people) == [len(await all_people(count, funnel, step, (each.group,))) for step in steps]


async def test_retention_is_that_of_a_plain_reading(database: Database) -> None:
    """Cohorts by hours and days of several zones, with filters, and of people who come back to the same thing."""
    chance = random.Random(8)  # noqa: S311 - not a secret
    events = random_events(chance, 400)
    await add(database, events)
    for _ in range(12):
        granularity = chance.choice((Granularity.HOUR, Granularity.DAY))
        start = BEGIN + timedelta(minutes=chance.randrange(24 * 60))
        length = timedelta(hours=chance.randrange(2, 40))
        asked = Period(start, start + length, granularity, chance.choice(("UTC", "Asia/Kathmandu")))
        first, returning = (Step(chance.choice(_TYPES), (_RICH,) if chance.random() < 0.3 else ()) for _ in range(2))
        divided = buckets(time_zone(asked.time_zone), granularity, asked.start, asked.end, most=100)
        found = await counting_of(database).retention(first, returning, asked)
        assert [(each.people, each.returned) for each in found] == returned(events, first, returning, divided)


def funnel_of(*steps: queries.FunnelStep, window_seconds: int = 3600, **rest: str) -> queries.Funnel:
    return queries.Funnel(
        steps=steps,
        start_time=timestamp(asking.BEGIN),
        end_time=timestamp(asking.BEGIN + timedelta(days=1)),
        window_seconds=window_seconds,
        **rest,
    )


def step(kind: str, *filters: queries.EventPropertyFilter) -> queries.FunnelStep:
    return queries.FunnelStep(event_type=kind, filters=filters)


@pytest.fixture
async def api(server: Running) -> Api:
    return await server.sign_in("staff", "admin")


async def walk(api: Api, *steps: tuple[str, str, float]) -> None:
    """What people did, each after so many minutes."""
    await sent(
        api,
        [event(kind, asking.BEGIN + timedelta(minutes=at), {"plan": who[0]}, subject=who) for who, kind, at in steps],
    )


async def test_a_step_counts_after_the_one_before_and_within_the_window(api: Api) -> None:
    """Neither what came before, nor what came at the same moment, nor what came too late; a later start may do."""
    await walk(api, ("in time", "seen", 0), ("in time", "paid", 60))
    await walk(api, ("too late", "seen", 0), ("too late", "paid", 61))
    await walk(api, ("before", "paid", 0), ("before", "seen", 1))
    await walk(api, ("at once", "seen", 5), ("at once", "paid", 5))
    await walk(api, ("again", "seen", 0), ("again", "seen", 59), ("again", "paid", 90))
    asked = funnel_of(step("seen"), step("paid"), breakdown="plan")
    answer = await api.event_queries.QueryFunnel(pb.QueryFunnelRequest(funnel=asked, top=1))
    assert [(each.group.value, each.other, list(each.people)) for each in answer.counts] == [
        ("", False, [5, 2]),
        ("a", False, [2, 1]),
        ("", True, [3, 1]),
    ]
    request = pb.ListFunnelPeopleRequest(funnel=asked, step=2, page_size=1)
    first = await api.event_queries.ListFunnelPeople(request)
    request.page_token = first.next_page_token
    second = await api.event_queries.ListFunnelPeople(request)
    assert [each.subject for each in (*first.people, *second.people)] == ["again", "in time"]
    assert second.next_page_token == ""
    one = queries.GroupValue(property="plan", value="i")
    of_group = pb.ListFunnelPeopleRequest(funnel=asked, step=1, group=one)
    assert [each.subject for each in (await api.event_queries.ListFunnelPeople(of_group)).people] == ["in time"]


async def test_what_is_no_funnel_is_refused(api: Api) -> None:
    """A step that there is not, a group without a breakdown, a filter that compares with text."""
    asked = funnel_of(step("seen"), step("paid"))
    list_people = api.event_queries.ListFunnelPeople
    assert (await refusal(list_people(pb.ListFunnelPeopleRequest(funnel=asked, step=3)))).fields.keys() == {"step"}
    group = queries.GroupValue(property="plan", value="a")
    request = pb.ListFunnelPeopleRequest(funnel=asked, step=1, group=group)
    assert (await refusal(list_people(request))).fields.keys() == {"group"}
    wrong = funnel_of(step("seen"), step("paid", where("total", "LESS", "much")))
    found = await refusal(api.event_queries.QueryFunnel(pb.QueryFunnelRequest(funnel=wrong)))
    assert found.fields.keys() == {"funnel.steps[1].filters[0].values"}
    found = await refusal(api.event_queries.QueryFunnel(pb.QueryFunnelRequest(funnel=funnel_of())))
    assert found.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_retention_is_answered_by_cohorts(api: Api) -> None:
    """People count once in each bucket; the last one's state says whether it is final."""
    day = 24 * 60
    await walk(api, ("ann", "seen", 0), ("bob", "seen", 5), ("cleo", "seen", day))
    await walk(api, ("ann", "paid", 1), ("ann", "paid", day), ("ann", "paid", day + 1), ("bob", "paid", 2 * day))
    request = pb.QueryRetentionRequest(
        first=step("seen"), returning=step("paid"), period=period(length=timedelta(days=3))
    )
    cohorts = (await api.event_queries.QueryRetention(request)).cohorts
    assert [(each.people, list(each.returned), each.partial) for each in cohorts] == [
        (2, [1, 1, 1], False),
        (1, [0, 0], False),
        (0, [0], False),
    ]
    much = pb.QueryRetentionRequest(first=step("seen"), returning=step("paid"), period=period("HOUR"))
    assert (await refusal(api.event_queries.QueryRetention(much))).fields.keys() == {"period"}


async def test_who_does_not_read_events_sees_no_people(server: Running) -> None:
    """A customer sees neither counts nor people."""
    customer = await server.sign_in("customer")
    asked = funnel_of(step("seen"), step("paid"))
    for call in (
        customer.event_queries.QueryFunnel(pb.QueryFunnelRequest(funnel=asked)),
        customer.event_queries.ListFunnelPeople(pb.ListFunnelPeopleRequest(funnel=asked, step=1)),
    ):
        assert (await refusal(call)).reason == "PERMISSION_MISSING"
