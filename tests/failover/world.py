"""The world of some rounds: a cluster, servers, a payment provider, a webhook receiver, callers and watchers."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backroom_client import AsyncBackroom
from tests.failover.book import Book
from tests.failover.callers import Crowd
from tests.failover.checker import Checker, Kept, Verdict, kept_in
from tests.failover.cluster import Cluster
from tests.failover.programs import Line, Program, Server
from tests.failover.proxy import Proxy
from tests.failover.readiness import Readiness
from tests.failover.waiting import comes_true, now
from tests.failover.watchers import Watcher
from tests.fixtures.sandbox import Sandbox
from tests.webhooks.outgoing import Subscriber

ALL_EVENTS = "/all"
"""Where the receiver is sent each event of an order."""
_SETTLED_WITHIN_SECONDS = 45.0
_WATCHED_WITHIN_SECONDS = 20.0
_LOOKS_SECONDS = 0.3
_VERIFIED_WITHIN_SECONDS = 180.0
_UNSETTLED = """
    SELECT (SELECT count(*) FROM webhooks.deliveries WHERE state = 'pending' AND attempt_count < 2)
        + (SELECT count(*) FROM commerce.payments WHERE state IN ('pending', 'authorized'))
        + (SELECT count(*) FROM commerce.refunds WHERE state = 'pending')
        + (SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')
            AND task_name IN ('commerce.pay', 'commerce.refund', 'commerce.take_payment_event', 'webhooks.deliver',
                'identity.send_mail'))
        + (SELECT count(*) FROM frame.events WHERE type LIKE 'order.%') - (SELECT count(*) FROM webhooks.deliveries
            JOIN webhooks.endpoints ON endpoints.id = endpoint_id WHERE description = 'all')
"""


@dataclass(frozen=True)
class Shape:
    """The programs of a round."""

    processes: int = 1
    """Of each server: `serve --workers`."""
    workers: int = 0
    """Workers in separate processes, for servers without one."""
    proxied: bool = False
    """Whether the servers reach the database through proxies."""


@dataclass
class World:
    """Everything that a fault may affect, and its logs."""

    cluster: Cluster
    servers: Sequence[Server]
    workers: Sequence[Program]
    proxies: Sequence[Proxy]
    """In front of the cluster's nodes, in the order of their names; none unless the shape has them."""
    readiness: Sequence[Readiness]
    """Of each server."""
    doors: Sequence[AsyncBackroom]
    """To each server, for the crowd."""
    watchers: Sequence[Watcher]
    late: Watcher
    """Watches until the fault, and resumes long after it with the token that it had then."""
    sandbox: Sandbox
    receiver: Subscriber
    environment: dict[str, str]
    """The servers' environment variables."""
    key: str
    """By which callers sign in."""
    book: Book = field(default_factory=Book)
    """Of all rounds so far."""
    back_at: float | None = None
    """When the fault made writes possible again: a standby was promoted, or a server was restarted."""
    failed_calls: list[str] = field(default_factory=list)
    """Of a plain client, where the fault has one."""

    def begin(self) -> Crowd:
        """Starts a new round, with new callers."""
        self.back_at, self.failed_calls = None, []
        return Crowd(self.book, self.doors, self.receiver.url)

    def back(self) -> None:
        """Marks the moment from which on writes should succeed."""
        self.back_at = now()

    def gaps(self) -> list[float | None]:
        """For how long after that moment each server acknowledged no order; None if it never did."""
        if self.back_at is None:
            return [None for _ in self.servers]
        firsts = [self.book.first_ok(server, self.back_at) for server in range(len(self.servers))]
        return [None if first is None else first - self.back_at for first in firsts]

    async def writes(self, within: float) -> bool:
        """Whether each server acknowledges an order again within this many seconds."""
        return await comes_true(lambda: None not in self.gaps(), within)

    def lines(self, since: float) -> list[list[Line]]:
        """Each program's lines above INFO."""
        programs = [*self.servers, *self.workers]
        return [[line for line in program.lines if line.at >= since] for program in programs]

    async def settle(self) -> None:
        """Returns once nothing is under way any more, or after a timeout, in which case the checker finds it."""
        until = now() + _SETTLED_WITHIN_SECONDS
        while now() < until and await asyncio.to_thread(self.cluster.primary.execute, _UNSETTLED):  # noqa: ASYNC110
            await asyncio.sleep(_LOOKS_SECONDS)

    async def verdict(self) -> Verdict:
        """The broken guarantees, including what `backroom verify` reports."""
        kept = await asyncio.to_thread(kept_in, self.cluster.primary.url)
        everybody = [*self.watchers, self.late]
        await asyncio.gather(*(self._hears_out(watcher, kept) for watcher in everybody))
        ledger, heard = self.sandbox.ledger, list(self.receiver.heard)
        outbox = Path(self.environment["BACKROOM_DATA_DIR"]) / "outbox"
        verdict = Checker(self.book, kept, ledger, heard, everybody, ALL_EVENTS, outbox).verdict()
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
        try:
            said, complained = await asyncio.wait_for(process.communicate(), _VERIFIED_WITHIN_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        try:
            found = json.loads(said)
        except ValueError:
            return [f"verify: {complained.decode(errors='replace')[-300:]}"]
        broken = [f"{law['id']} {law['law']}: {law['broken_by']}" for law in found["laws"] if law["broken"]]
        return [*broken, *found["unchecked"]]
