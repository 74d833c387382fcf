"""The world of some rounds: a cluster, servers, a payment provider, a receiver of webhooks, a crowd and watchers."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from backroom.webhooks.v1.webhook_service_pb2 import CreateEndpointRequest
from backroom_client import AsyncBackroom, Key
from tests.failover.book import Book
from tests.failover.callers import Crowd, open_shop
from tests.failover.checker import Checker, Kept, Verdict, kept_in
from tests.failover.cluster import Cluster, Template, replicating
from tests.failover.nodes import free_port
from tests.failover.programs import Line, Program
from tests.failover.proxy import Proxy, passing_on
from tests.failover.readiness import Readiness
from tests.failover.waiting import comes_true, now
from tests.failover.watchers import Watcher
from tests.fixtures.keys import MASTER_KEY
from tests.fixtures.sandbox import KEY, WEBHOOK_SECRET, Sandbox, providing
from tests.webhooks.outgoing import Subscriber, subscriber

_ALL = "/all"
_SETTLED_WITHIN_SECONDS = 45.0
_WATCHED_WITHIN_SECONDS = 20.0
_LOOKS_SECONDS = 0.3
_UNSETTLED = """
    SELECT (SELECT count(*) FROM webhooks.deliveries WHERE state = 'pending' AND attempt_count < 2)
        + (SELECT count(*) FROM commerce.payments WHERE state IN ('pending', 'authorised'))
        + (SELECT count(*) FROM commerce.refunds WHERE state = 'pending')
        + (SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')
            AND task_name IN ('commerce.pay', 'commerce.refund', 'commerce.take_payment_event', 'webhooks.deliver',
                'identity.send_mail'))
        + (SELECT count(*) FROM frame.events WHERE type LIKE 'order.%') - (SELECT count(*) FROM webhooks.deliveries
            JOIN webhooks.endpoints ON endpoints.id = endpoint_id WHERE description = 'all')
"""


@dataclass(frozen=True)
class Shape:
    """What a round runs."""

    processes: int = 1
    """Of each server: `serve --workers`."""
    workers: int = 0
    """Workers in processes of their own, beside servers that do no jobs."""
    proxied: bool = False
    """Whether the servers reach the database through proxies."""


@dataclass
class World:
    """Everything that a fault may touch, and what it tells of itself."""

    cluster: Cluster
    servers: Sequence[Program]
    workers: Sequence[Program]
    proxies: Sequence[Proxy]
    """Before the cluster's nodes, in the order of their names; none unless the shape has them."""
    addresses: Sequence[str]
    """The servers' own, for calls."""
    readiness: Sequence[Readiness]
    """Of each server."""
    book: Book
    """Of all rounds so far."""
    gather: Callable[[], Crowd]
    """Brings a new crowd."""
    crowd: Crowd
    """Of this round."""
    watchers: Sequence[Watcher]
    late: Watcher
    """Watches until the fault, and goes on long after it with the token that it had then."""
    sandbox: Sandbox
    receiver: Subscriber
    environment: dict[str, str]
    """What the servers are given."""
    key: str
    """By which callers sign in."""
    back_at: float | None = None
    """When the fault made writes possible again: a standby was promoted, or a server was started again."""
    failed_calls: list[str] = field(default_factory=list)
    """Of a plain client, where the fault has one."""

    async def begin(self, *, crowded: bool) -> None:
        """A new round, with a new crowd, which asks for something if it is to."""
        self.back_at, self.failed_calls = None, []
        await self.crowd.close()
        self.crowd = self.gather()
        if crowded:
            self.crowd.start()

    def back(self) -> None:
        """Marks the moment from which on writes are to be possible."""
        self.back_at = now()

    def gap(self) -> float | None:
        """For how long after that moment the slowest of the servers acknowledged no order; None where one never did."""
        if self.back_at is None:
            return None
        firsts = [self.book.first_ok(server, self.back_at) for server in range(len(self.servers))]
        known = [first for first in firsts if first is not None]
        return max(known) - self.back_at if len(known) == len(firsts) else None

    async def writes(self, within: float) -> bool:
        """Whether each server acknowledges an order again within so many seconds."""
        return await comes_true(lambda: self.gap() is not None, within)

    def lines(self, since: float) -> list[list[Line]]:
        """Of each program: its lines above INFO."""
        programs = [*self.servers, *self.workers]
        return [[line for line in program.lines if line.at >= since] for program in programs]

    async def settle(self) -> None:
        """Returns once nothing is on its way any more, or has been for too long, which the checker then finds."""
        until = now() + _SETTLED_WITHIN_SECONDS
        while now() < until and await asyncio.to_thread(self.cluster.primary.execute, _UNSETTLED):  # noqa: ASYNC110
            await asyncio.sleep(_LOOKS_SECONDS)

    async def verdict(self) -> Verdict:
        """What was not kept, with what `backroom verify` says."""
        kept = await asyncio.to_thread(kept_in, self.cluster.primary.url)
        everybody = [*self.watchers, self.late]
        await asyncio.gather(*(self._hears_out(watcher, kept) for watcher in everybody))
        ledger, heard = self.sandbox.ledger, list(self.receiver.heard)
        outbox = Path(self.environment["BACKROOM_DATA_DIR"]) / "outbox"
        verdict = Checker(self.book, kept, ledger, heard, everybody, _ALL, outbox).verdict()
        verdict.laws += await self._verified()
        return verdict

    async def _hears_out(self, watcher: Watcher, kept: Kept) -> None:
        truth = {row[0]: row[1] for row in kept.orders if watcher.customer in ("", row[3])}
        await watcher.knows(truth, _WATCHED_WITHIN_SECONDS)

    async def _verified(self) -> list[str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server", "verify", "--json"),
            env={**os.environ, **self.environment, "DATABASE_URL": self.cluster.primary.url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complained = await asyncio.wait_for(process.communicate(), 120)
        try:
            found = json.loads(said)
        except ValueError:
            return [f"verify: {complained.decode(errors='replace')[-300:]}"]
        broken = [f"{law['id']} {law['law']}: {law['broken_by']}" for law in found["laws"] if law["broken"]]
        return [*broken, *found["unchecked"]]


@asynccontextmanager
async def running(made: Template, shape: Shape) -> AsyncIterator[World]:
    """A world in which a crowd asks and watches; all of it ends with the block."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="world-", dir=made.folder)))
        cluster = await stack.enter_async_context(replicating(made))
        proxied = cluster.nodes if shape.proxied else ()
        proxies = [await stack.enter_async_context(passing_on(node.port)) for node in proxied]
        sandbox = await stack.enter_async_context(providing(folder / "sandbox.sqlite"))
        receiver = await stack.enter_async_context(subscriber())
        url = cluster.url(*(proxy.port for proxy in proxies))
        environment = {"DATABASE_URL": url, **_settings(folder, sandbox)}
        servers, addresses, webs = await _served(stack, shape, environment)
        workers = [Program("worker", ready="working", environment=environment) for _ in range(shape.workers)]
        await asyncio.gather(*(_started(stack, program) for program in [*servers, *workers]))
        doors = [await stack.enter_async_context(AsyncBackroom(address, Key(made.key))) for address in addresses]
        await sandbox.behave(webhook_url=f"{webs[0]}/webhooks/sandbox")
        await open_shop(doors[0])
        receive_all = {"url": receiver.url.replace("/hook", _ALL), "description": "all"}
        await doors[0].webhooks.CreateEndpoint(CreateEndpointRequest(**receive_all, event_types=_EVENTS))
        either = "ipv4:" + ",".join(addresses)
        watching = [await stack.enter_async_context(AsyncBackroom(either, Key(made.key))) for _ in range(4)]
        *watchers, late = [Watcher(door, customer) for door, customer in zip(watching, _WATCHED, strict=True)]
        for watcher in (*watchers, late):
            await watcher.start()
            stack.push_async_callback(watcher.stop)
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        readiness = [Readiness(client, web) for web in webs]
        for each in readiness:
            each.start()
            stack.push_async_callback(each.stop)
        book = Book()

        def gather() -> Crowd:
            return Crowd(book, doors, receiver.url)

        world = World(
            cluster=cluster,
            servers=servers,
            workers=workers,
            proxies=proxies,
            addresses=addresses,
            readiness=readiness,
            book=book,
            gather=gather,
            crowd=gather(),
            watchers=watchers,
            late=late,
            sandbox=sandbox,
            receiver=receiver,
            environment=environment,
            key=made.key,
        )
        try:
            yield world
        finally:
            await world.crowd.close()


_EVENTS = ("order.placed", "order.paid", "order.fulfilled", "order.cancelled", "order.expired", "order.refunded")
_WATCHED = ("", "customer-0", "customer-1", "")
"""Whose orders each watcher follows; empty means all. The last one is the late one."""


def _settings(folder: Path, sandbox: Sandbox) -> dict[str, str]:
    return {
        "BACKROOM_MASTER_KEY": MASTER_KEY,
        "BACKROOM_DATA_DIR": str(folder),
        "BACKROOM_MAIL": "file",
        "BACKROOM_CALLS_PER_SECOND": "0",
        "BACKROOM_PAYMENT_PROVIDER": "sandbox",
        "BACKROOM_SANDBOX_URL": sandbox.url,
        "BACKROOM_SANDBOX_KEY": KEY,
        "BACKROOM_SANDBOX_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "BACKROOM_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "LOG_FORMAT": "json",
    }


async def _served(
    _stack: AsyncExitStack, shape: Shape, environment: dict[str, str]
) -> tuple[list[Program], list[str], list[str]]:
    """Two servers, not started yet, each at an address that it keeps, and where their HTTP sides will be."""
    options = [] if shape.processes == 1 else ["--workers", str(shape.processes)]
    options += ["--no-worker"] if shape.workers else []
    servers, addresses, webs = [], [], []
    for _ in range(2):
        calls, web = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        places = {"BACKROOM_GRPC_ADDRESS": calls, "BACKROOM_HTTP_ADDRESS": web}
        servers.append(Program("serve", *options, ready="serving", environment={**environment, **places}))
        addresses.append(calls)
        webs.append(f"http://{web}")
    return servers, addresses, webs


async def _started(stack: AsyncExitStack, program: Program) -> None:
    stack.push_async_callback(program.kill)
    await program.start()
