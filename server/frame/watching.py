"""Sending watchers what changes, as it changes: nothing is left out, and nothing is sent twice."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeAlias

from server.frame.change_log import Audience, Change, ChangeLog, R
from server.frame.errors import ResumeTokenExpired, Stopping
from server.frame.resuming import Position
from server.frame.streaming import OpenStreams
from storage.errors import TimelineChanged
from storage.frame.records import ChangePage, LogRange
from storage.snapshots import Snapshot
from storage.store import Store

_PAGE_SIZE = 500
"""How many changes a watch that lags behind reads at once."""
_UPDATE_SIZE = 1000
"""How many changes are handed to all watches in one update; where there are more, each watch reads them for itself."""


@dataclass(frozen=True, slots=True)
class WatchMessage(Generic[Change]):
    """One message of a watch."""

    position: Position
    """Where a later watch continues right behind it."""
    change: Change | None
    """None where there is only the position to send."""


WatchMessages: TypeAlias = AsyncGenerator[WatchMessage[Change], None]


class Feed(Generic[R, Change, Audience]):
    """What changes in one log, for all who watch it in this process.

    One task polls the database for what is new, and hands it to all watches. A watch that is not up to date, since it
    continues from long ago or its reader is slow, reads page by page for itself, one watch at a time. So however many
    they are, they take two connections, and none while a message waits for its reader.
    """

    def __init__(
        self,
        store: Store[R, Any],
        log: ChangeLog[R, Change, Audience],
        now: Callable[[], datetime],
        *,
        poll_seconds: float = 0.1,
        quiet: float = 30.0,
        lasting: float = 600.0,
    ) -> None:
        """In seconds: how often it polls; after how long without a message a watch gets its position alone; and when
        a watch ends, to be opened again by a caller who is still permitted to.
        """
        self._store = store
        self._log = log
        self._quiet = quiet
        self._lasting = lasting
        self._watches = OpenStreams()
        self._poller = _Poller(store, log, now, poll_seconds, wanted=lambda: bool(self._watches))
        self._reading = asyncio.Lock()

    async def watch(self, resumed: Position | None, audience: Audience) -> WatchMessages[Change]:
        """Sends an audience the changes behind a position; or those to come, and first the position alone.

        Raises ResumeTokenExpired where the position is of another timeline or lies ahead of the database, so that
        nobody knows what happened behind it: a standby was promoted, or the database was restored from a backup.
        A watch that is under way when that happens ends with it, too.
        """
        pace = _Pace(self._quiet, self._lasting)
        with self._watches.open(pace):
            async with aclosing(self._watch(resumed, audience, pace)) as messages:
                async for message in messages:
                    yield message
                    pace.message()

    async def close(self) -> None:
        """Ends all watches with Stopping; one whose reader does not read is cut off."""
        await self._poller.close()
        await self._watches.close()

    async def _watch(self, resumed: Position | None, audience: Audience, pace: "_Pace") -> WatchMessages[Change]:
        end = await self._poller.end()
        if resumed is None:
            yield WatchMessage(end.position, None)
        elif resumed.timeline != end.position.timeline or not end.visible.covers(resumed.newest):
            raise ResumeTokenExpired
        position = resumed or end.position
        while not pace.has_ended:
            async with aclosing(self._steps(position, audience, pace.wait)) as steps:
                async for step in steps:
                    self._poller.check()
                    position = step.position
                    if step.change is not None or pace.quiet:
                        yield step
                    if pace.has_ended:
                        return

    async def _steps(self, position: Position, audience: Audience, wait: float) -> WatchMessages[Change]:
        """How a watch continues: with changes, and with positions alone, which only a watch that was quiet gets."""
        changes: Sequence[Change] | None = None
        if position.until is not None:  # a range of which the first part is sent
            goal = Position(position.time, position.timeline, position.until)
        elif update := await self._poller.wait_for_update(position, wait):
            goal, changes = update.until, update.changes_since(position.since)
        else:
            goal, changes = self._poller.advanced(position), ()
        if changes is None:
            async for step in self._read(position, goal, audience):
                yield step
        else:
            concerned = [change for change in changes if self._log.concerns(change, audience)]
            for step in self._messages(ChangePage(concerned, None), position, goal):
                yield step

    async def _read(self, position: Position, goal: Position, audience: Audience) -> WatchMessages[Change]:
        page: ChangePage[Change] = ChangePage((), position.after)
        while page.last is not None:
            log_range = LogRange(position.timeline, str(position.since), str(goal.since), page.last)
            try:
                async with self._reading, self._store.reading() as reading:
                    page = await self._log.list_changes(reading, log_range, _PAGE_SIZE, audience)
            except TimelineChanged:
                raise ResumeTokenExpired from None
            for step in self._messages(page, position, goal):
                yield step

    def _messages(self, page: ChangePage[Change], position: Position, goal: Position) -> Iterator[WatchMessage[Change]]:
        for change in page.changes:
            yield WatchMessage(replace(position, until=goal.since, after=change.sequence), change)
        yield WatchMessage(goal if page.last is None else replace(position, until=goal.since, after=page.last), None)


@dataclass(frozen=True, slots=True)
class _End:
    """Where the log ends by now."""

    position: Position
    visible: Snapshot
    """Covers every position that was sent on this timeline."""


@dataclass(frozen=True, slots=True)
class _Update(Generic[Change]):
    """What became visible since the update before."""

    floor: Snapshot
    """Where the update before ended; from here to `since` there was nothing new."""
    since: Snapshot
    until: Position
    changes: Sequence[Change] | None
    """None where they were too many to hand around, or are not known."""

    def changes_since(self, message: Snapshot) -> Sequence[Change] | None:
        """What is new behind a snapshot, where that is exactly this update."""
        return self.changes if message.covers(self.floor) and self.since.covers(message) else None


class _Poller(Generic[R, Change, Audience]):
    """Polls for what is new as long as that is wanted, and hands it to all who wait for it."""

    def __init__(
        self,
        store: Store[R, Any],
        log: ChangeLog[R, Change, Audience],
        now: Callable[[], datetime],
        poll_seconds: float,
        wanted: Callable[[], bool],
    ) -> None:
        self._store = store
        self._log = log
        self._now = now
        self._poll_seconds = poll_seconds
        self._wanted = wanted
        self._update: _Update[Change] | None = None
        self._polled: Position | None = None
        self._polling: asyncio.Task[None] | None = None
        self._news: asyncio.Future[None] | None = None
        self._closed = False

    async def end(self) -> _End:
        """What has committed by now."""
        while True:
            self.check()
            time = self._now()
            async with self._store.reading() as reading:
                end = await self._log.find_end(reading)
            position = Position(time, end.timeline, self._latest_end(end.timeline, Snapshot.of(end.snapshot)))
            if position.since.fits:
                self._follow_timeline(position.timeline)
                return _End(position, Snapshot.of(end.visible))
            await asyncio.sleep(self._poll_seconds)

    async def wait_for_update(self, message: Position, wait: float) -> _Update[Change] | None:
        """The latest update, as soon as it has something behind a position; None where none did for so many seconds.

        What makes the polling fail is raised to all who wait.
        """
        clock = asyncio.get_running_loop().time
        ends = clock() + wait
        while True:
            update = self._update
            if update is not None and update.until.timeline != message.timeline:
                raise ResumeTokenExpired
            if update is not None and not message.since.covers(update.until.since):
                return update
            news = self._next_update()
            await asyncio.wait([news], timeout=ends - clock())
            if not news.done():
                return None
            with suppress(TimelineChanged):  # the polling restarts, and its first update says where
                news.result()

    def advanced(self, position: Position) -> Position:
        """The position of a watch that has sent all updates, moved up to where nothing was new at the last poll."""
        polled = self._polled
        if polled is None or polled.timeline != position.timeline:
            return position
        return polled if polled.since.covers(position.since) else position

    def check(self) -> None:
        """Raises Stopping once it is closed."""
        if self._closed:
            raise Stopping

    async def close(self) -> None:
        """Whoever waits gets Stopping."""
        self._closed = True
        self._wake(Stopping())
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)

    def _latest_end(self, timeline: str, end: Snapshot) -> Snapshot:
        """The end of the log, or the one seen before: the log may have been purged since, up to its last row."""
        polled = self._polled
        return polled.since if polled and polled.timeline == timeline and polled.since.covers(end) else end

    def _follow_timeline(self, timeline: str) -> None:
        """Restarts the polling where it is of another timeline than what a watch was just sent."""
        if self._polling is not None and self._polled is not None and self._polled.timeline != timeline:
            self._polling.cancel()
            self._polling = self._update = self._polled = None
            self._wake(TimelineChanged())

    def _next_update(self) -> "asyncio.Future[None]":
        """Done when there is something new; the polling restarts where it had ended."""
        self.check()
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll_until_unwanted())
        return self._news

    async def _poll_until_unwanted(self) -> None:
        try:
            polled = self._polled = (await self.end()).position
            # What came before, whoever lags behind reads for itself.
            self._publish(_Update(polled.since, polled.since, polled, None))
            while self._wanted():
                await asyncio.sleep(self._poll_seconds)
                await self._poll()
        except Exception as error:  # noqa: BLE001 - it is raised where its outcome is awaited
            self._wake(error)
        finally:
            if self._polling is asyncio.current_task():
                self._polling = self._update = self._polled = None

    async def _poll(self) -> None:
        assert self._update is not None  # noqa: S101 - both are there once it polls
        assert self._polled is not None  # noqa: S101
        since = str(self._polled.since)
        page: ChangePage[Change] | None = None
        time = self._now()
        async with self._store.reading() as reading:
            news = await self._log.find_news(reading, since)
            if news.timeline != self._polled.timeline:
                raise TimelineChanged
            until = Position(time, news.timeline, Snapshot.of(news.snapshot))
            if not until.since.fits:
                return
            if news.first is not None:
                log_range = LogRange(news.timeline, since, news.snapshot, news.first - 1)
                page = await self._log.list_changes(reading, log_range, _UPDATE_SIZE, self._log.everybody)
        if page is not None:
            changes = page.changes if page.last is None else None
            self._publish(_Update(self._update.until.since, self._polled.since, until, changes))
        self._polled = until

    def _publish(self, update: _Update[Change]) -> None:
        self._update = update
        self._wake(None)

    def _wake(self, failure: Exception | None) -> None:
        news, self._news = self._news, None
        if news is None:
            return
        if failure is None:
            news.set_result(None)
        else:
            news.set_exception(failure)
            news.exception()  # nobody need wait for it


class _Pace:
    """When one watch is to get its position alone, and when it ends."""

    def __init__(self, quiet: float, lasting: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self._quiet = quiet
        self._ends = self._clock() + lasting
        self._last = self._clock()

    def message(self) -> None:
        """A message was sent just now."""
        self._last = self._clock()

    @property
    def has_ended(self) -> bool:
        return self._clock() >= self._ends

    @property
    def quiet(self) -> bool:
        """Whether there was no message for long."""
        return self._clock() - self._last >= self._quiet

    @property
    def wait(self) -> float:
        """In seconds: how long to wait for a change."""
        return min(self._ends, self._last + self._quiet) - self._clock()
