"""Events that are sent while the server is killed, again and again, until each batch was answered."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import psycopg

from backroom.events.v1 import event_service_pb2 as pb
from backroom.events.v1 import events_pb2
from storage.database import Database
from tests.events.calling import SOURCE, shown
from tests.events.proving.checker import Book
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.processes import ServerProcess, serving
from tests.fixtures.servers import Api, sign_in

BATCH = 500
_DUPLICATES, _CONFLICTS = 0.05, 0.005
"""The shares of events that are sent again as they were, and with another content."""
_STREAMS = 3
_LATER_SECONDS = 0.3
"""How long after an answer the server is killed, at most: at any moment of a transaction."""
_BROKEN_OFF = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)
"""How a stream ends whose server was killed, or that has lasted as long as its caller wanted."""
_WRITING_ON = "Internal error from Core"
"""What grpc.aio calls it where a message is written to a stream that has just ended so."""


def batches(count: int, seed: int) -> Iterator[Sequence[events_pb2.Event]]:
    """So many events in batches, of which some are repeated, within a batch or long after."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    ids: list[int] = []
    batch: list[events_pb2.Event] = []
    for number in range(count):
        again = chance.random()
        if ids and again < _DUPLICATES + _CONFLICTS:
            earlier = chance.choice(ids[-20 * BATCH :])
            batch.append(_event(earlier, "other" if again < _CONFLICTS else "first"))
        else:
            ids.append(number)
            batch.append(_event(number, "first"))
        if len(batch) == BATCH or number == count - 1:
            yield batch
            batch = []


def _event(number: int, content: str) -> events_pb2.Event:
    data = f'{{"content": "{content}", "number": {number}}}'
    return events_pb2.Event(id=f"{number:08}", source=SOURCE, type=f"type.{number % 7}", data=data)


@dataclass
class Sending:
    """The batches that are left to be sent, and what was answered to the others."""

    left: deque[Sequence[events_pb2.Event]]
    book: Book = field(default_factory=Book)
    answered: int = 0
    """Batches."""

    async def send(self, api: Api) -> None:
        """Sends what is left over some streams; returns once all is answered, or the server has gone."""
        await asyncio.gather(*(self._stream(api) for _ in range(_STREAMS)))

    async def reached(self, goal: int, sending: "asyncio.Task[None]") -> None:
        """Returns once so many batches were answered, or nothing is sent any more."""
        async with asyncio.timeout(600):
            while self.answered < goal and not sending.done():
                await asyncio.wait([sending], timeout=0.01)

    async def _stream(self, api: Api) -> None:
        waiting: deque[Sequence[events_pb2.Event]] = deque()

        async def requests() -> AsyncIterator[pb.StreamEventsRequest]:
            while self.left:
                batch = self.left.popleft()
                waiting.append(batch)
                for event in batch:
                    self.book.send((event.source, event.id), event.data)
                yield pb.StreamEventsRequest(events=batch)

        try:
            async for answer in api.events.StreamEvents(requests()):
                for event, verdict in zip(waiting[0], answer.verdicts, strict=True):
                    self.book.answer((event.source, event.id), event.data, shown(verdict))
                waiting.popleft()
                self.answered += 1
        except grpc.aio.AioRpcError as error:
            if error.code() not in _BROKEN_OFF and error.details() != _WRITING_ON:
                raise
        self.left.extendleft(reversed(waiting))


async def send_and_kill(url: str, count: int, kills: int, *, seed: int, program: str = "server") -> Book:
    """Sends so many events while the server is killed so often, each time in the middle of it; then sends the rest."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    sending = Sending(deque(batches(count, seed)))
    total = len(sending.left)
    for kill in range(kills):
        goal = total * (kill + 1) // (kills + 2)
        async with _served(url, program) as (server, api):
            task = asyncio.create_task(sending.send(api))
            await sending.reached(goal, task)
            await asyncio.sleep(chance.uniform(0.0, _LATER_SECONDS))
            server.process.kill()
            await server.process.wait()
            await task
    async with _served(url, "server") as (_, api), asyncio.timeout(1_800):
        while sending.left:
            await sending.send(api)
    return sending.book


@asynccontextmanager
async def _served(url: str, program: str) -> AsyncIterator[tuple[ServerProcess, Api]]:
    database = Database(url, audit_key=MASTER_KEYS.audit_key, pool_size=1)
    try:
        async with (
            serving(url, program=program) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            api = await sign_in(application_of(database, QUIET), channel, ["service"])
            yield server, api
    finally:
        await database.close()


def stored(url: str) -> Sequence[tuple[str, str, str]]:
    """Each stored event's source, id and content."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT source, id, data::text FROM events.events").fetchall()
