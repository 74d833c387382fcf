"""Events that come in over streams, beside a bare COPY of the same rows and the usual stack."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias
from uuid import uuid4

import orjson
import psycopg

from backroom.events.v1.event_service_pb2 import StreamEventsRequest
from backroom.events.v1.events_pb2 import OUTCOME_STORED
from backroom_client import AsyncBackroom, Key
from bench.peers.http1 import head, open_many
from bench.peers.serving import usual
from bench.peers.usual.issuing import TokenIssuer
from bench.rounds import Side, rounds
from bench.row import LIMIT, Row, row
from bench.setting import Bench
from bench.totals import TotalsMismatch
from load.cpu import Meter, cpu_of
from load.order_requests import Unexpected
from storage.events.encoding import COLUMNS, copied, new_event
from storage.events.records import MICROSECONDS, SentEvent

_BATCH, _STREAMS = 1_000, 4
_EVENTS, _EVENTS_IN_LONG, _USUAL_SHARE = 60_000, 300_000, 10
"""Of a round; the usual stack is sent a tenth, since it is slower by that much."""
_CONNECTIONS = 32
"""Of the usual stack: as many batches as ours has in flight on its streams."""
_LEAST_RATE, _LEAST_OF_COPY, _LEAST_OF_USUAL = 50_000, 0.4, 8

_REAPED_SECONDS = 0.3
"""Until PostgreSQL counts what a connection took that has just ended."""

Send: TypeAlias = Callable[[Sequence[SentEvent]], Awaitable[float]]
"""Sends events, and returns how many seconds that took, without what was made and encoded before."""

_BARE = """
    CREATE TABLE public.bare (LIKE events.events INCLUDING ALL) PARTITION BY RANGE (time);
    CREATE TABLE public.bare_all PARTITION OF public.bare DEFAULT
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """Events that were sent in one round."""

    rate: float
    """A second."""
    server_cpu: float
    """Of one event, in microseconds, as the next one."""
    postgres_cpu: float


async def ingesting(bench: Bench) -> list[Row]:
    """Each round has new events, of the last hour; what was stored is counted in the end."""
    count = _EVENTS_IN_LONG if bench.long else _EVENTS
    numbers, url = itertools.count(), bench.database("ingesting")
    issuer, usual_url = TokenIssuer(), bench.empty_database("ingesting_usual")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_BARE)
    async with bench.backroom(url) as server, AsyncBackroom(server.address, Key(server.api_key)) as backroom:
        await _streamed(backroom, _events(numbers, _BATCH))  # signs in, and makes today's partition
        with usual(usual_url, "orm", issuer.public_key) as stack:
            bearer = f"Bearer {issuer.token(uuid4(), ['events.write'])}"
            post = partial(_posted, stack.address, bearer)
            cpu, of_usual = cpu_of(server.pid), cpu_of(stack.pid)
            ours = Side("Backroom", _timed(bench, partial(_streamed, backroom), numbers, count, cpu))
            bare = Side("a bare COPY of as many rows", _timed(bench, partial(_copied, url), numbers, count))
            less = count // _USUAL_SHARE
            other = Side("FastAPI and INSERT ... ON CONFLICT", _timed(bench, post, numbers, less, of_usual))
            await rounds(bench, ours, bare, other)
    _check(url, "events.events", len(ours.figures) * count + _BATCH)
    _check(usual_url, "public.ingested_events", len(other.figures) * less)
    return _rows(ours, bare, other)


def _rows(ours: Side[Sent], bare: Side[Sent], other: Side[Sent]) -> list[Row]:
    measured = f"StreamEvents, {_STREAMS} streams, batches of {_BATCH}"
    costs = partial(row, goal=None, lower_is_better=True)
    of_postgres, of_both = f"{measured}: PostgreSQL's CPU of an event", f"{measured}: CPU of server and PostgreSQL"
    return [
        row(measured, "events/s", [(each.rate, _LEAST_RATE) for each in ours.figures], against=LIMIT, goal=1),
        row(measured, "events/s", _pairs(ours, bare, _rate), against=bare.name, goal=_LEAST_OF_COPY),
        row(measured, "events/s", _pairs(ours, other, _rate), against=other.name, goal=_LEAST_OF_USUAL),
        costs(of_postgres, "us", _pairs(ours, bare, _postgres_cpu), against=bare.name),
        costs(of_both, "us", _pairs(ours, bare, _whole_cpu), against=bare.name),
        costs(of_both, "us", _pairs(ours, other, _whole_cpu), against=other.name),
    ]


def _pairs(ours: Side[Sent], peer: Side[Sent], figure: Callable[[Sent], float]) -> Sequence[tuple[float, float]]:
    return [(figure(one), figure(another)) for one, another in zip(ours.figures, peer.figures, strict=True)]


def _rate(sent: Sent) -> float:
    return sent.rate


def _postgres_cpu(sent: Sent) -> float:
    return sent.postgres_cpu


def _whole_cpu(sent: Sent) -> float:
    return sent.postgres_cpu + sent.server_cpu


def _timed(
    bench: Bench, send: Send, numbers: "itertools.count[int]", count: int, server: Meter = lambda: 0.0
) -> Callable[[], Awaitable[Sent]]:
    async def measure() -> Sent:
        events = _events(numbers, count)
        await bench.rest()
        before = server(), bench.postgres.cpu()
        seconds = await send(events)
        of_server = server() - before[0]
        await asyncio.sleep(_REAPED_SECONDS)
        of_postgres = bench.postgres.cpu() - before[1]
        return Sent(count / seconds, of_server / count * 1e6, of_postgres / count * 1e6)

    return measure


async def _streamed(backroom: AsyncBackroom, events: Sequence[SentEvent]) -> float:
    """Sends events over streams, each of which sends on before it is answered; each event must be stored."""
    batches = [_message(events[start : start + _BATCH]) for start in range(0, len(events), _BATCH)]

    async def stream(mine: Sequence[StreamEventsRequest]) -> None:
        async for answer in backroom.events.StreamEvents(_each(mine)):
            if any(verdict.outcome != OUTCOME_STORED for verdict in answer.verdicts):
                raise Unexpected(f"an event of batch {answer.batch_number} was not stored")

    began = time.perf_counter()
    await asyncio.gather(*(stream(batches[number::_STREAMS]) for number in range(_STREAMS)))
    return time.perf_counter() - began


async def _copied(url: str, events: Sequence[SentEvent]) -> float:
    """COPY of the rows that these events have, into a table with the same columns, partitions and indexes."""
    received = events[-1].time or 0
    document = copied([new_event(event, received).row for event in events], 1)
    statement = f"COPY public.bare ({', '.join(COLUMNS)}) FROM STDIN (FORMAT binary)"
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection, connection.cursor() as cursor:
        began = time.perf_counter()
        async with cursor.copy(statement.encode()) as copy:
            await copy.write(document)
        return time.perf_counter() - began


async def _posted(address: str, bearer: str, events: Sequence[SentEvent]) -> float:
    """Posts events in batches of as many; each must be stored."""
    host, _, port = address.rpartition(":")
    headers = head(host, int(port), authorization=bearer, content_type="application/json")
    bodies = [_body(events[start : start + _BATCH]) for start in range(0, len(events), _BATCH)]
    connections = await open_many(host, int(port), _CONNECTIONS)

    async def post(number: int) -> None:
        for body in bodies[number::_CONNECTIONS]:
            status, answer = await connections[number].call(b"POST", b"/events", headers, body)
            if status != 200 or orjson.loads(answer)["duplicates"]:
                raise Unexpected(f"{status}: {answer.decode(errors='replace'):.200}")

    began = time.perf_counter()
    await asyncio.gather(*map(post, range(_CONNECTIONS)))
    seconds = time.perf_counter() - began
    for connection in connections:
        await connection.close()
    return seconds


async def _each(batches: Sequence[StreamEventsRequest]) -> AsyncIterator[StreamEventsRequest]:
    for batch in batches:
        yield batch


def _message(events: Sequence[SentEvent]) -> StreamEventsRequest:
    message = StreamEventsRequest()
    for event in events:
        at = event.time or 0
        sent = message.events.add(
            id=event.id, source=event.source, type=event.type, subject=event.subject, data=event.data
        )
        sent.time.seconds, sent.time.nanos = at // MICROSECONDS, at % MICROSECONDS * 1000
    return message


def _body(events: Sequence[SentEvent]) -> bytes:
    return orjson.dumps(
        [
            {
                "source": event.source,
                "event_id": event.id,
                "type": event.type,
                "subject": event.subject,
                "time": datetime.fromtimestamp((event.time or 0) / MICROSECONDS, UTC),
                "data": orjson.loads(event.data),
            }
            for event in events
        ]
    )


def _events(numbers: "itertools.count[int]", count: int) -> Sequence[SentEvent]:
    """Lines of orders, as a shop reports them, over the last hour."""
    first = int(time.time() - 3600) * MICROSECONDS
    step = 3600 * MICROSECONDS // count
    return [_event(number, first + place * step) for place, number in enumerate(itertools.islice(numbers, count))]


def _event(number: int, at: int) -> SentEvent:
    data = {
        "invoice": f"{536365 + number // 20}",
        "sku": f"{number % 4000:05}A",
        "quantity": number % 12 + 1,
        "price": f"{number % 700 / 100:.2f}",
        "country": "United Kingdom",
    }
    subject = f"{number * 7919 % 5000:05}"
    return SentEvent(str(uuid4()), "/shop", "order.line", subject, at, orjson.dumps(data).decode(), {})


def _check(url: str, table: str, expected: int) -> None:
    """Raises TotalsMismatch unless as many events are stored as were sent."""
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    if row != (expected,):
        raise TotalsMismatch(f"{expected:,} events were stored, and {table} has {row}")
