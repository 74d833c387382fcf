"""The systems that book, ready to be called: each call books another time, and the bookings are counted at the end."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import orjson
import psycopg
from google.protobuf.timestamp_pb2 import Timestamp
from psycopg import sql
from sqlalchemy.ext.asyncio import async_sessionmaker

from backroom.bookings.v1.booking_service_pb2 import BookRequest, BookResponse, CreateResourceRequest
from backroom.bookings.v1.bookings_pb2 import BOOKING_STATE_CONFIRMED, ResourceChoice
from backroom.bookings.v1.resources_pb2 import OpeningPeriod, Resource
from backroom_client import AsyncBackroom, Key
from backroom_client.concurrently import concurrently
from bench.measurements.sides import CALLERS, CONNECTIONS
from bench.peers.http1 import head, open_many
from bench.peers.serving import usual
from bench.peers.usual.booking_models import Resource as UsualResource
from bench.peers.usual.database import create_engine
from bench.peers.usual.issuing import TokenIssuer
from bench.setting import Backroom, Bench
from bench.totals import TotalsMismatch
from load.connections import Connections, Server
from load.loops import Call
from load.order_requests import Unexpected

BOOK = "/backroom.bookings.v1.BookingService/Book"
_MINUTE = timedelta(minutes=1)
_WINDOW_MINUTES = 1098 * 24 * 60


@dataclass(frozen=True, slots=True)
class Booker:
    """A server of which each call books one minute of a resource."""

    pid: int
    book: Call


class _Times:
    """A resource and a minute for each call: the resources in turn, each from tomorrow on."""

    def __init__(self, resources: int) -> None:
        self._resources = resources
        self._begin = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=1)
        self._numbers = itertools.count()
        self.booked = 0

    def next(self) -> tuple[int, datetime]:
        minute, resource = divmod(next(self._numbers), self._resources)
        return resource, self._begin + minute * _MINUTE


def _always_open() -> Resource:
    weekly = [OpeningPeriod(day=day, opens="00:00", closes="24:00") for day in range(1, 8)]
    return Resource(
        name="Bench",
        time_zone="UTC",
        opening_hours=weekly,
        booking_window_minutes=_WINDOW_MINUTES,
        slot_step_minutes=1,
    )


async def created(server: Backroom, resource: Resource, count: int) -> list[str]:
    """The ids of so many new resources."""
    ids: list[str] = []
    async with AsyncBackroom(server.address, Key(server.api_key)) as backroom:

        async def create(_: int) -> None:
            request = CreateResourceRequest(request_id=str(uuid4()), resource=resource)
            ids.append((await backroom.bookings.CreateResource(request)).resource.resource_id)

        await concurrently(create, range(count), at_once=CALLERS)
    return ids


@asynccontextmanager
async def our_bookings(bench: Bench, name: str, resources: int) -> AsyncIterator[Booker]:
    """Backroom with so many resources, on a server and a database of its own."""
    url, times = bench.database(name), _Times(resources)
    async with bench.backroom(url) as server:
        ids = await created(server, _always_open(), resources)
        connections = Connections(Server(server.address, server.api_key), CONNECTIONS)
        await connections.open()
        method = connections.method(BOOK)

        async def book(caller: int) -> None:
            resource, start = times.next()
            start_time = Timestamp(seconds=int(start.timestamp()))
            choices = [ResourceChoice(resource_ids=[ids[resource]])]
            asked = BookRequest(
                request_id=str(uuid4()), choices=choices, start_time=start_time, duration_minutes=1, customer_id="bench"
            )
            booking = BookResponse.FromString(await method(caller, asked.SerializeToString())).booking
            right = booking.state == BOOKING_STATE_CONFIRMED and booking.start_time == start_time
            if not right or list(booking.resource_ids) != [ids[resource]]:
                raise Unexpected(f"{booking.booking_id} is not what was booked")
            times.booked += 1

        yield Booker(server.pid, book)
        await connections.close()
    _check(url, "bookings.bookings", times)


@asynccontextmanager
async def usual_bookings(bench: Bench, name: str, resources: int) -> AsyncIterator[Booker]:
    """The usual stack with as many."""
    url, issuer, times = bench.empty_database(name), TokenIssuer(), _Times(resources)
    bearer = f"Bearer {issuer.token(uuid4(), ['bookings.book'])}"
    with usual(url, "orm", issuer.public_key) as server:
        ids = await stocked(url, resources)
        host, _, port = server.address.rpartition(":")
        headers = head(host, int(port), authorization=bearer, content_type="application/json")
        connections = await open_many(host, int(port), CALLERS)

        async def book(caller: int) -> None:
            resource, start = times.next()
            asked = {"request_id": uuid4(), "resource_id": ids[resource], "start_time": start}
            body = orjson.dumps({**asked, "duration_minutes": 1, "customer_id": "bench"})
            status, answer = await connections[caller].call(b"POST", b"/bookings", headers, body)
            if status != 201:
                raise Unexpected(f"{status}: {answer.decode(errors='replace'):.200}")
            booking = orjson.loads(answer)
            found = (booking["state"], datetime.fromisoformat(booking["start_time"]), booking["resource_id"])
            if found != ("confirmed", start, str(ids[resource])):
                raise Unexpected(f"{booking['id']} is not what was booked")
            times.booked += 1

        yield Booker(server.pid, book)
        for connection in connections:
            await connection.close()
    _check(url, "public.bookings", times)


async def stocked(url: str, resources: int) -> list[UUID]:
    """The ids of so many new resources of the usual stack."""
    ids = [uuid4() for _ in range(resources)]
    rest = {"time_zone": "UTC", "opens": 0, "closes": 24 * 60, "slot_step_minutes": 1, "minimum_notice_minutes": 0}
    engine = create_engine(url)
    async with async_sessionmaker(engine)() as session, session.begin():
        session.add_all(
            UsualResource(id=each, name="Bench", booking_window_minutes=_WINDOW_MINUTES, **rest) for each in ids
        )
    await engine.dispose()
    return ids


def _check(url: str, table: str, times: _Times) -> None:
    """Raises TotalsMismatch unless there are as many bookings as were answered."""
    statement = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table.split(".")))
    with psycopg.connect(url) as connection:
        row = connection.execute(statement).fetchone()
    if row is None or row[0] != times.booked:
        raise TotalsMismatch(f"{times.booked:,} bookings were answered, and {table} has {row}")
