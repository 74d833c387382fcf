import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from uuid import UUID

from server.events.rules.batches import JudgedBatch
from server.events.service.declared import DeclaredTypes
from server.events.service.partitions import Partitions
from server.frame.batching import Batcher
from server.frame.errors import Overloaded, Refusal
from storage.errors import StoreContention
from storage.events.records import STORED, SentEvent, Verdict
from storage.events.store import EventsStore

MAX_EVENTS = 5_000
"""Of one message."""
LARGEST_TRANSACTION = 10_000
"""In events: well below a second."""
MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024
"""Of all events that wait in one process to be stored."""
_TRANSACTIONS = 3
"""At the same time: while one waits for its commit, PostgreSQL and this process go on with another."""
_BATCHES_OF_KNOWN = -10
"""So many transactions of new events alone, behind one that had others, until the next one is taken for such."""
_WAIT_SECONDS = 5.0
"""How long a stream is kept waiting for room."""


class Ingesting:
    """Stores events, each once; the messages that arrive while transactions run share the next ones."""

    def __init__(
        self,
        store: EventsStore,
        declared: DeclaredTypes,
        partitions: Partitions,
        now: Callable[[], datetime],
        *,
        longest_seconds: float,
        most_in_flight: int = MAX_IN_FLIGHT_BYTES,
    ) -> None:
        """`most_in_flight` is in bytes."""
        self._store = store
        self._declared = declared
        self._partitions = partitions
        self._now = now
        self._room = Room(most_in_flight)
        self._batches_of_new = 0
        """How many there were one after the other; negative while new ones have yet to show that they are the rule."""
        self._lanes = [
            _Lane(
                Batcher(
                    self.store_all,
                    weigh=lambda batch: 1 + len(batch.events) + len(batch.refused),
                    largest=LARGEST_TRANSACTION,
                    longest_seconds=longest_seconds,
                )
            )
            for _ in range(_TRANSACTIONS)
        ]

    @property
    def batchers(self) -> Sequence[Batcher[JudgedBatch, Sequence[Verdict]]]:
        """To be closed at the end."""
        return [lane.batcher for lane in self._lanes]

    async def wait_for_room(self) -> None:
        """Returns once there is room for another message; raises Overloaded where there is none for long."""
        await self._room.wait(_WAIT_SECONDS)

    async def ingest(
        self, sent: Sequence[SentEvent], account_id: UUID | None, *, own: bool = False
    ) -> Sequence[Verdict]:
        """The verdict on each event, in their order, once what is stored is durable.

        `own` is whether the server itself reports them. Raises Overloaded where too much is in flight.
        """
        self._room.check()
        now = self._now()
        judge = await self._declared.judge()
        batch = JudgedBatch(sent, judge, account_id, now, own=own)
        if full := await self._partitions.ensure(event.time for event in batch.events):
            batch.refuse_days(full)
        with self._room.taken(batch.size):
            return await min(self._lanes, key=lambda lane: lane.size).submit(batch)

    async def store_all(self, batches: Sequence[JudgedBatch]) -> Sequence[Sequence[Verdict] | Refusal]:
        """Stores the events of several messages in one transaction, and keeps those that are refused."""
        events = [event for batch in batches for event in batch.events]
        if self._partitions.forgotten:
            await self._partitions.ensure(event.time for event in events)
        try:
            async with self._store.transaction() as tx:
                verdicts: Sequence[Verdict] = ()
                if events:
                    verdicts = await tx.ingest.store(events, self._now(), probably_new=self._batches_of_new > 0)
                await tx.refused_events.keep([each for batch in batches for each in batch.refused])
                all_new = verdicts.count(STORED) == len(verdicts)
                if not all_new:
                    await tx.wait_for_standby()  # for what is answered by what others have stored
        except StoreContention:
            self._partitions.forget()
            raise
        self._batches_of_new = self._batches_of_new + 1 if all_new else _BATCHES_OF_KNOWN
        following = iter(verdicts)
        return [batch.answered(list(islice(following, len(batch.events)))) for batch in batches]


class _Lane:
    """Transactions one after the other, and how much they are given."""

    def __init__(self, batcher: Batcher[JudgedBatch, Sequence[Verdict]]) -> None:
        self.batcher = batcher
        self.size = 0
        """In bytes, of what waits or is being stored."""

    async def submit(self, batch: JudgedBatch) -> Sequence[Verdict]:
        self.size += batch.size
        try:
            return await self.batcher.submit(batch)
        finally:
            self.size -= batch.size


class Room:
    """How much may be in flight in one process."""

    def __init__(self, most: int) -> None:
        """`most` is in bytes."""
        self._left = most
        self._free = asyncio.Event()
        self._free.set()

    def check(self) -> None:
        """Raises Overloaded where there is no room."""
        if self._left <= 0:
            raise Overloaded

    async def wait(self, seconds: float) -> None:
        """Returns once there is room; raises Overloaded where there is none for so many seconds."""
        if self._left > 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._free.wait()
        except TimeoutError:
            raise Overloaded from None

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Counts so many bytes for as long as the block lasts."""
        self._left -= size
        if self._left <= 0:
            self._free.clear()
        try:
            yield
        finally:
            self._left += size
            if self._left > 0:
                self._free.set()
