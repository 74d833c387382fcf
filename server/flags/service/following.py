"""The snapshot in memory, and how it follows what is changed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Protocol

import structlog

from server.flags.rules.evaluating import View
from server.flags.rules.fractional import Fractional
from server.flags.rules.snapshots import Snapshot
from server.frame.errors import DatabaseUnavailable, Stopping
from server.frame.garbage import lasting
from server.frame.log import described
from server.frame.module import Clock
from server.frame.outages import UNANSWERED, Outage, explained
from server.frame.streaming import OpenStreams
from storage.errors import StoreError
from storage.flags.records import CHANNEL, Configuration
from storage.flags.store import FlagsStore

POLL_SECONDS = 0.5
"""The poll interval: a notification may be lost."""
_POLL_TIMEOUT_SECONDS = 3.0
_RETRY_SECONDS = 1.0
"""How soon to listen again after the session was lost."""
_LOG_AFTER_SECONDS = 4.0
"""Longer than readiness takes to report that the database is away."""
_MANY = 200
"""Flags, segments and sets together: so many compile within a few milliseconds, and more do so in a thread."""


class Notifications(Protocol):
    """The notifications that other servers send with their changes."""

    def hear(self, channel: str) -> AsyncIterator[str]:
        """The notifications on a channel; first an empty one, once it listens and none can be missed."""
        ...


class CurrentFlags:
    """All flags, in memory: read completely at the start, and updated as they change.

    It is notified of each change and also polls, so that every change is seen within a second. While the database is
    away, the flags stay as they were. Its version never goes back: see `_advance_beyond`.
    """

    def __init__(
        self,
        store: FlagsStore,
        notifications: Notifications,
        fractional: Fractional,
        logger: structlog.typing.FilteringBoundLogger,
        *,
        now: Clock,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._store = store
        self._notifications = notifications
        self._logger = logger
        self._now = now
        self._poll_seconds = poll_seconds
        self._snapshot = Snapshot.empty(fractional)
        self._loaded = False
        self._closed = False
        self.streams = OpenStreams()
        """The open streams of changes, so that a stop can wait for them."""
        self._heard = asyncio.Event()
        self._changed: asyncio.Future[None] | None = None
        self._updating: asyncio.Task[None] | None = None

    @property
    def loaded(self) -> bool:
        """Whether the flags have been read since the start."""
        return self._loaded

    @property
    def snapshot(self) -> Snapshot:
        """All flags; raises DatabaseUnavailable if they have not been read since the start."""
        if not self._loaded:
            raise DatabaseUnavailable
        return self._snapshot

    def view(self, flag_set_id: str) -> View:
        """A flag set; raises DatabaseUnavailable if it has not been read since the start."""
        return self.snapshot.view(flag_set_id)

    async def after(self, version: int, within: float) -> Snapshot | None:
        """The snapshot once it is newer than a configuration version; None where it is not within so many seconds.

        Raises Stopping once the process ends its streams.
        """
        ends = asyncio.get_running_loop().time() + within
        while True:
            if self._closed:
                raise Stopping
            if self._snapshot.version > version:
                return self._snapshot
            if self._changed is None:
                self._changed = asyncio.get_running_loop().create_future()
            left = ends - asyncio.get_running_loop().time()
            if left <= 0 or not (await asyncio.wait([self._changed], timeout=left))[0]:
                return None

    async def load(self) -> None:
        """Brings the snapshot up to date, once; raises StoreError.

        It goes on if the caller is cancelled: thousands of flags may take longer than a caller waits.
        """
        if self._updating is None or self._updating.done():
            self._updating = asyncio.create_task(self._update())
            # Whoever waited for it may have given up: the next poll says what is wrong.
            self._updating.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._updating)

    async def follow(self, already_logged: Callable[[], bool] = lambda: False) -> None:
        """Keeps the snapshot up to date, until cancelled; `already_logged` is whether the log has an outage already."""
        events = ("flag_changes_not_followed", "flag_changes_followed")
        outage, defect = (
            Outage(self._logger, *events, grace_seconds=_LOG_AFTER_SECONDS, already_logged=already_logged)
            for _ in range(2)
        )
        listening = asyncio.create_task(self._listen(already_logged))
        try:
            while True:
                self._heard.clear()
                await self._try(outage, defect)
                # Not by wait_for, which in Python 3.11 forgets that it was cancelled where the wait ends just then.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_seconds):
                        await self._heard.wait()
        finally:
            tasks = [task for task in (listening, self._updating) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Raises Stopping in all that wait for a change, and returns once the streams have ended.

        Evaluation goes on.
        """
        self._closed = True
        self._wake()
        await self.streams.close()

    async def _try(self, outage: Outage, defect: Outage) -> None:
        try:
            async with asyncio.timeout(_POLL_TIMEOUT_SECONDS):
                await self.load()
            outage.record_recovery()
            defect.record_recovery()
        except TimeoutError:
            outage.record_failure(why=UNANSWERED)
        except StoreError as error:
            outage.record_failure(why=explained(error))
        except Exception as error:  # noqa: BLE001 - the snapshot stays as it is until the next poll
            defect.record_failure(fault=described(error))

    async def _listen(self, already_logged: Callable[[], bool]) -> None:
        outage = Outage(
            self._logger,
            "flag_changes_not_heard",
            "flag_changes_heard",
            grace_seconds=_LOG_AFTER_SECONDS,
            already_logged=already_logged,
        )
        while True:
            heard = False
            try:
                async for _ in self._notifications.hear(CHANNEL):
                    heard = True
                    outage.record_recovery()
                    self._heard.set()
                if not heard:  # notifications are not available here, such as behind a pooler: polling must do
                    return
                outage.record_failure(why=UNANSWERED)
            except StoreError as error:
                outage.record_failure(why=explained(error))
            except Exception as error:  # noqa: BLE001 - polling goes on
                outage.record_failure(fault=described(error))
            await asyncio.sleep(_RETRY_SECONDS)

    async def _update(self) -> None:
        async with self._store.reading() as reading:
            version = await reading.configuration.version()
        known = self._snapshot
        if not version and known.views:  # as before the first flag: nothing that any client could be sent is kept
            await self._replace(Configuration(known.version + 1, [], [], [], complete=True))
        elif version and version != known.version:
            if version < known.version:
                await self._advance_beyond(known.version, version)
            async with self._store.snapshot_reading() as reading:
                news = await reading.configuration.since(known.version)
            await self._replace(news)
        self._loaded = True

    async def _advance_beyond(self, known: int, version: int) -> None:
        """Gives the flags of a database that went back, as to a backup, a newer version than clients have seen."""
        self._logger.warning("flags_went_back", version=version, known_version=known)
        async with self._store.transaction() as tx:
            await tx.configuration.advance(self._now(), above=known)

    async def _replace(self, news: Configuration) -> None:
        self._snapshot = await self._after(news)
        self._wake()

    async def _after(self, news: Configuration) -> Snapshot:
        many = len(news.flags) + len(news.segments) + len(news.flag_sets) > _MANY
        # One changed segment, or a set's metadata, may have thousands of flags compiled again.
        if many or ((news.segments or news.flag_sets) and self._largest() > _MANY):
            with lasting():
                return await asyncio.to_thread(self._snapshot.after, news)
        return self._snapshot.after(news)

    def _largest(self) -> int:
        return max((len(view.flags) for view in self._snapshot.views.values()), default=0)

    def _wake(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None and not changed.done():
            changed.set_result(None)
