"""Outgoing webhooks, wired by hand: a clock that tests move, and a subscriber."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid4

import uuid_utils.compat

from server.frame.caller import Caller
from server.frame.events import EventType
from server.webhooks.network import Resolver
from server.webhooks.rules.endpoints import EndpointDraft
from server.webhooks.rules.relaying import OWN_TYPES
from server.webhooks.seals import SecretSeals
from server.webhooks.sender import Sender
from server.webhooks.service import Deliveries, DeliveryScheduler, Endpoints, Relay
from storage.database import Database
from storage.frame.records import ChangeContext, Event
from storage.store import FRAME
from storage.webhooks.records import Delivery, DeliveryFilter, Endpoint
from storage.webhooks.store import WEBHOOKS
from tests.fixtures.keys import MASTER_KEYS

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
READ = ("orders.read_all",)
TYPES = {"order.placed": EventType("Placed.", READ), "order.paid": EventType("Paid.", READ), **OWN_TYPES}
CALLER = Caller(uuid4(), frozenset({"orders.read_all", "bookings.read", "bookings.read_all", "webhooks.manage"}))
"""The account that creates and changes endpoints, and may read everything that they receive."""
SECRET = bytes(range(32))
SEALS = SecretSeals(MASTER_KEYS)

Headers = Mapping[str, str]
Take = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Heard:
    """A request as it arrived."""

    target: str
    headers: Headers
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def type(self) -> str:
        return str(json.loads(self.body)["type"])


@dataclass
class Subscriber:
    """A subscriber that receives webhooks, and responds with `answers`, one by one, the last one repeatedly."""

    port: int = 0
    heard: list[Heard] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=lambda: [answer(200)])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                fields = (line.split(": ", 1) for line in head[1:] if line)
                headers = {name.lower(): value for name, value in fields}
                body = await reader.readexactly(int(headers["content-length"]))
                self.heard.append(Heard(head[0].split()[1], headers, body))
                writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(status: int, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "content-length: 0", "", ""]).encode()


@asynccontextmanager
async def listening(
    take: Take, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server on a port, within the block."""
    server = await asyncio.start_server(take, host, port, backlog=1024, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


@asynccontextmanager
async def subscriber(*answers: bytes, **where: Any) -> AsyncIterator[Subscriber]:
    """A subscriber that listens on its own port."""
    opened = Subscriber(answers=[*answers] or [answer(200)])
    async with listening(opened.take, **where) as opened.port:
        yield opened


@dataclass
class Outbox:
    """The use cases on one database; there is no jitter, and the time stands still until it is moved."""

    database: Database
    sender: Sender
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    types: Mapping[str, EventType] = field(default_factory=lambda: TYPES)

    permissions: frozenset[str] | None = CALLER.permissions
    """The current permissions of the responsible accounts."""

    async def permissions_of(self, account_id: UUID) -> frozenset[str] | None:
        return self.permissions if account_id == CALLER.account_id else None

    def now(self) -> datetime:
        return self.time

    @property
    def ask(self) -> ChangeContext:
        """A caller's request for a change, without a request_id."""
        return ChangeContext(uuid4(), "test", self.time)

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints(
            self.database.store(WEBHOOKS),
            self.types,
            LOOPBACK,
            SEALS,
            self.now,
            uuid_utils.compat.uuid7,
            lambda: SECRET,
        )

    @property
    def deliveries(self) -> Deliveries:
        return Deliveries(
            self.database.store(WEBHOOKS), self.sender, SEALS, self.now, lambda: 0.5, self.types, self.permissions_of
        )

    @property
    def turns(self) -> DeliveryScheduler:
        return DeliveryScheduler(self.database.store(WEBHOOKS), self.now, lambda: 0.5)

    def relay(self, page: int = 1000) -> Relay:
        return Relay(self.database.store(WEBHOOKS), self.now, uuid_utils.compat.uuid7, lambda _: page)

    async def relayed(self, page: int = 1000) -> None:
        """Turns the whole log into deliveries."""
        while await self.relay(page).relay():
            pass

    async def endpoint(self, url: str = "https://example.com", *types: str) -> Endpoint:
        endpoint, _ = await self.endpoints.create(EndpointDraft(url, "", types, CALLER), self.ask)
        return endpoint

    async def endpoint_now(self, endpoint: Endpoint) -> Endpoint:
        return await self.endpoints.get(endpoint.id)

    async def happens(self, *types: str, data: str = "{}") -> None:
        """Writes events into the log, all in one transaction."""
        async with self.database.store(FRAME).transaction() as tx:
            await tx.events.publish([Event(each, uuid4(), data, self.time) for each in types])

    async def sent(self, endpoint: Endpoint, **wanted: Any) -> Sequence[Delivery]:
        """An endpoint's deliveries, oldest first."""
        found = await self.endpoints.list_deliveries(DeliveryFilter(endpoint.id, **wanted), before=None, limit=1000)
        return found[::-1]

    async def types_of(self, endpoint: Endpoint) -> list[str]:
        return sorted(delivery.event_type for delivery in await self.sent(endpoint))

    async def test_event(self, endpoint: Endpoint) -> Delivery:
        """A delivery that is due."""
        return await self.endpoints.send_test(endpoint.id, self.ask)

    async def attempt(self, delivery: Delivery) -> Delivery:
        """The delivery after its next attempt, which is made once its time has come."""
        if delivery.next_attempt_time is not None:
            self.time = max(self.time, delivery.next_attempt_time)
        await self.deliveries.attempt(delivery.id)
        return await self.found(delivery)

    async def found(self, delivery: Delivery) -> Delivery:
        async with self.database.store(WEBHOOKS).reading() as tx:
            found = await tx.deliveries.find(delivery.id)
        assert found is not None
        return found

    async def due(self) -> list[UUID]:
        """The deliveries in the queue of jobs."""
        async with self.database.store(FRAME).reading() as tx:
            jobs = await tx.jobs.list_undone(1000)
        return [UUID(str(job.args["delivery_id"])) for job in jobs if job.task == "webhooks.deliver"]

    def moves(self, **by: float) -> None:
        self.time += timedelta(**by)


@asynccontextmanager
async def outbox_on(database: Database, **rest: Any) -> AsyncIterator[Outbox]:
    resolver = Resolver()
    sender = Sender(resolver, LOOPBACK, **rest)
    try:
        yield Outbox(database, sender)
    finally:
        await sender.close()
        await resolver.close()
