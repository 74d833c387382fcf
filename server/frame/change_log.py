"""A log of changes as a watch reads it."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from storage.frame.records import ChangePage, LogEnd, LogRange, News
from storage.transaction import Reading

Audience = TypeVar("Audience")
Audience_contra = TypeVar("Audience_contra", contravariant=True)
R = TypeVar("R", bound=Reading)


class Sequenced(Protocol):
    """A change that knows its place in its log."""

    @property
    def sequence(self) -> int: ...


Change = TypeVar("Change", bound=Sequenced)


class ChangeReader(Protocol[Change, Audience_contra]):
    """A log as a reading reaches it: a `storage.log.LogReader` that lists what an audience gets."""

    async def find_end(self) -> LogEnd: ...
    async def find_news(self, since: str) -> News: ...
    async def list_changes(self, log_range: LogRange, limit: int, audience: Audience_contra) -> ChangePage[Change]:
        """The changes among the first `limit` of a range that an audience gets."""
        ...


class ChangeLog(Generic[R, Change, Audience]):
    """A log of changes, which a module's readings reach."""

    def __init__(
        self,
        of: Callable[[R], ChangeReader[Change, Audience]],
        everybody: Audience,
        concerns: Callable[[Change, Audience], bool],
    ) -> None:
        """`of` is the log in a module's reading, such as `lambda reading: reading.order_changes`.

        `everybody` is the audience that every change concerns.
        `concerns` says whether an audience gets a change, by the same rule as `list_changes`.
        """
        self._of = of
        self.everybody = everybody
        self.concerns = concerns

    async def find_end(self, reading: R) -> LogEnd:
        """Where the log ends by now."""
        return await self._of(reading).find_end()

    async def find_news(self, reading: R, since: str) -> News:
        """Whether there is something new since a snapshot."""
        return await self._of(reading).find_news(since)

    async def list_changes(self, reading: R, log_range: LogRange, limit: int, audience: Audience) -> ChangePage[Change]:
        """The changes among the first `limit` of a range that an audience gets."""
        return await self._of(reading).list_changes(log_range, limit, audience)
