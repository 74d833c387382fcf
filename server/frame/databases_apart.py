"""Databases of what stands apart: what stands there is served while they answer, and the rest goes on without them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from server.frame.outages import UNANSWERED, Outage, explained
from server.frame.settings import DatabaseApart
from storage.errors import StoreError

_POLL_SECONDS = 1.0
_TIMEOUT_SECONDS = 2.0


class DatabasesApart:
    """Follows the databases of what stands apart; until it was asked, one counts as away."""

    def __init__(
        self,
        unready_reasons: Mapping[str, Callable[[], Awaitable[str | None]]],
        settings: Mapping[str, DatabaseApart],
        logger: structlog.typing.FilteringBoundLogger,
    ) -> None:
        """`unready_reasons` asks each by its name, and returns why nothing can be served from it, or None where it
        can."""
        self._unready_reasons = unready_reasons
        self._settings = settings
        self._ready: set[str] = set()
        events = ("database_apart_away", "database_apart_back")
        self._outages = {name: Outage(logger, *events) for name in unready_reasons}

    def is_ready(self, names: Mapping[str, DatabaseApart]) -> bool:
        """Whether all of these answer."""
        return self._ready.issuperset(names)

    async def watch(self, _already_logged: Callable[[], bool]) -> None:
        """Asks each at every poll interval, until cancelled."""
        while True:
            await self.poll()
            await asyncio.sleep(_POLL_SECONDS)

    async def poll(self) -> None:
        """Asks each once."""
        await asyncio.gather(*map(self._poll, self._unready_reasons))

    async def _poll(self, name: str) -> None:
        setting = self._settings[name].setting
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                problem = await self._unready_reasons[name]()
            reason = f"{setting}: {problem}" if problem else None
        except StoreError as error:
            reason = explained(error, setting)
        except TimeoutError:
            reason = f"{setting}: {UNANSWERED} within {_TIMEOUT_SECONDS:g} s"
        if reason is None:
            self._ready.add(name)
            self._outages[name].record_recovery()
        else:
            self._ready.discard(name)
            self._outages[name].record_failure(why=reason)
