"""Reports changes of payments to the merchant, by the Standard Webhooks specification, until they are accepted."""

import asyncio
import heapq
import sqlite3
import time
from contextlib import suppress
from datetime import UTC, datetime
from random import Random

import structlog
from standardwebhooks import Webhook

from sandbox.ledger import Event
from sandbox.ledger_thread import LedgerThread
from sandbox.posting import HttpPoster, Unreachable
from sandbox.request_bodies import ActiveBehavior, Behavior

_CONCURRENCY = 32
_MAX_PENDING = 2000
"""How many events are kept in memory; the others wait in the outbox."""
_SHUFFLE_SECONDS = 0.2
_FIRST_WAIT_SECONDS = 0.1
_MAX_WAIT_SECONDS = 10.0
_STOP_SECONDS = 3.0


class Sender:
    """Sends each event of the outbox until it is answered with 2xx, and only then removes it.

    An event is written to the outbox in the transaction of its change. After a kill, the next start sends the events
    that were not accepted, and sends again, under the same id, accepted ones that were not removed yet.
    """

    def __init__(
        self,
        ledger_thread: LedgerThread,
        secret: str,
        active_behavior: ActiveBehavior,
        random: Random,
        logger: structlog.typing.FilteringBoundLogger,
    ) -> None:
        """Raises ValueError if the secret is not in Standard Webhooks' form."""
        self._ledger_thread = ledger_thread
        self._webhook = Webhook(secret)
        self._active_behavior = active_behavior
        self._random = random
        self._logger = logger
        self._posts = HttpPoster(timeout=10)
        self._read_to = 0
        self._unread = True
        self._events: dict[int, Event] = {}
        self._copies: dict[int, int] = {}
        """How many copies of an event are not accepted yet."""
        self._due: list[tuple[float, int, int]] = []
        """When the next copy of an event is due, and its number of attempts; a heap."""
        self._sending: set[asyncio.Task[None]] = set()
        self._reachable = True
        self._taken = True
        """Whether the last response accepted its event."""
        self._wake = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Signals that there is something new in the outbox."""
        self._unread = True
        self._wake.set()

    async def stop(self) -> None:
        """Waits briefly for the responses under way; events that are not accepted by then stay in the outbox."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        if self._sending:
            await asyncio.wait(self._sending, timeout=_STOP_SECONDS)
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        self._posts.close()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            if self._unread and self._active_behavior.behavior.webhook_url and len(self._events) < _MAX_PENDING:
                await self._read()
            free = _CONCURRENCY - len(self._sending)
            while free and self._due and self._due[0][0] <= time.monotonic():
                _, sequence, tries = heapq.heappop(self._due)
                task = asyncio.create_task(self._send(self._events[sequence], tries))
                self._sending.add(task)
                task.add_done_callback(self._sent)
                free -= 1
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._next() if free else None):
                    await self._wake.wait()

    async def _read(self) -> None:
        room = _MAX_PENDING - len(self._events)
        self._unread = False
        try:
            events = await self._ledger_thread.do(lambda ledger: ledger.unsent(self._read_to, room))
        except sqlite3.Error as error:
            self._logger.error("outbox_unreadable", error=type(error).__name__)  # noqa: TRY400 - no stack is needed
            asyncio.get_running_loop().call_later(1, self.wake)
            return
        behavior = self._active_behavior.behavior
        for event in events:
            self._read_to = event.sequence
            self._events[event.sequence] = event
            self._copies[event.sequence] = behavior.webhook_copies
            for _ in range(behavior.webhook_copies):
                self._put(event, self._delay(behavior), 0)
        self._unread |= len(events) == room

    def _delay(self, behavior: Behavior) -> float:
        shuffled = self._random.uniform(0, _SHUFFLE_SECONDS) if behavior.webhook_shuffle else 0.0
        return self._random.uniform(*behavior.webhook_delay) + shuffled

    def _put(self, event: Event, delay: float, tries: int) -> None:
        heapq.heappush(self._due, (time.monotonic() + delay, event.sequence, tries))

    def _next(self) -> float | None:
        """When the next copy is due, by the loop's clock."""
        if not self._due:
            return None
        return asyncio.get_running_loop().time() + max(0.0, self._due[0][0] - time.monotonic())

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._wake.set()

    async def _send(self, event: Event, tries: int) -> None:
        taken = await self._post(event)
        last = self._copies[event.sequence] == 1
        if taken and last:
            try:
                await self._ledger_thread.do(lambda ledger: ledger.sent(event.sequence))
            except sqlite3.Error:
                taken = False  # it is still in the outbox, and is sent until it is removed
        if not taken:
            wait = min(_FIRST_WAIT_SECONDS * 2.0**tries, _MAX_WAIT_SECONDS) * self._random.uniform(0.75, 1.25)
            self._put(event, wait, tries + 1)
        elif last:
            del self._events[event.sequence], self._copies[event.sequence]
        else:
            self._copies[event.sequence] -= 1

    async def _post(self, event: Event) -> bool:
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": event.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(event.id, now, event.body),
        }
        try:
            status = await self._posts.post(self._active_behavior.behavior.webhook_url, headers, event.body.encode())
        except Unreachable as error:
            if self._reachable:
                self._logger.warning("merchant_unreachable", error=str(error))
            self._reachable = False
            return False
        if not self._reachable:
            self._resume()
        taken = 200 <= status < 300
        if not taken and self._taken:  # while none is accepted, one line is enough
            self._logger.warning("event_not_accepted", event_id=event.id, status=status)
        self._taken = taken
        return taken

    def _resume(self) -> None:
        """Makes due immediately what waited for an unreachable merchant."""
        self._logger.info("merchant_reachable")
        self._reachable = True
        now = time.monotonic()
        self._due = [(min(due, now) if tries else due, sequence, tries) for due, sequence, tries in self._due]
        heapq.heapify(self._due)
