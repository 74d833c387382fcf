"""Many senders of the same events, at two servers."""

import asyncio
import random
from collections import Counter

import psycopg

from backroom.events.v1 import event_service_pb2 as pb
from backroom.events.v1 import events_pb2
from tests.events.calling import ago, event, outcomes, streamed
from tests.fixtures.processes import Pair

_SENDERS, _EVENTS = 12, 300


async def test_of_many_senders_of_one_event_one_stores_it(pair: Pair) -> None:
    """In whatever order each sends them, by calls and streams at two servers: one is answered stored, the rest not."""
    apis = await pair.sign_in("service")
    sent = [event(id=f"{each:04}", time=ago(days=each % 3)) for each in range(_EVENTS)]
    answers: Counter[str] = Counter()

    async def send(number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - not for secrets
        mine = chance.sample(sent, len(sent))
        batches = [mine[start : start + 50] for start in range(0, len(mine), 50)]
        if number % 2:
            found = await streamed(apis[number % len(apis)], batches)
        else:
            found = [await outcomes(apis[number % len(apis)], *batch) for batch in batches]
        answers.update(each for batch in found for each in batch)

    await asyncio.gather(*map(send, range(_SENDERS)))
    assert answers == {"stored": _EVENTS, "duplicate": (_SENDERS - 1) * _EVENTS}
    with psycopg.connect(pair.url) as connection:
        stored = connection.execute("SELECT count(*), count(DISTINCT id) FROM events.events").fetchone()
        keys = connection.execute("SELECT count(*) FROM events.keys").fetchone()
    assert stored == (_EVENTS, _EVENTS)
    assert keys == (_EVENTS,)


async def test_of_two_contents_of_one_event_one_stays(pair: Pair) -> None:
    """Whichever came first: its senders are answered stored or duplicate, and those of the other one conflict."""
    apis = await pair.sign_in("service")

    async def send(number: int) -> list[tuple[str, str, str]]:
        data = '{"a": 1}' if number % 2 else '{"a": 2}'
        mine = [event(id=f"{each:04}", data=data) for each in range(100)]
        random.Random(number).shuffle(mine)  # noqa: S311 - not for secrets
        found = await outcomes(apis[number // 2 % len(apis)], *mine)
        return [(each.id, data, outcome) for each, outcome in zip(mine, found, strict=True)]

    answers = [each for found in await asyncio.gather(*map(send, range(8))) for each in found]
    with psycopg.connect(pair.url) as connection:
        stored: dict[str, str] = dict(connection.execute("SELECT id, data::text FROM events.events").fetchall())
    assert len(stored) == 100
    for event_id, data, outcome in answers:
        assert (outcome == "conflict") == (stored[event_id] != data), event_id
    assert Counter(outcome for _, _, outcome in answers)["stored"] == 100


async def test_days_are_made_once_by_two_servers(pair: Pair) -> None:
    """The first events of many days come to both at the same time."""
    apis = await pair.sign_in("service")
    sent = [event(time=ago(days=each), id=str(each)) for each in range(20, 60)]

    async def send(number: int) -> pb.IngestEventsResponse:
        api = apis[number % len(apis)]
        found: pb.IngestEventsResponse = await api.events.IngestEvents(pb.IngestEventsRequest(events=sent))
        return found

    found = await asyncio.gather(*map(send, range(6)))
    counts = Counter(verdict.outcome for answer in found for verdict in answer.verdicts)
    assert counts == {events_pb2.OUTCOME_STORED: 40, events_pb2.OUTCOME_DUPLICATE: 200}
