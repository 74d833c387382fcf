"""What the log is told of a trouble that background work meets again and again until it has passed."""

import time
from collections.abc import Callable

import structlog

_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0
"""In seconds, between the lines of one outage."""


class Outage:
    """Says that something does not work: once when it begins, ever more seldom while it lasts, once when it has passed.

    Whoever tries again reports each attempt, however often: only this decides what is written.
    """

    def __init__(
        self,
        logger: structlog.typing.FilteringBoundLogger,
        begins: str,
        ends: str,
        *,
        patience: float = 0.0,
        told: Callable[[], bool] = lambda: False,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """`begins` and `ends` are the lines; nothing is said of an outage that is over within `patience` seconds.

        Nor while `told` says that another line tells of it already.
        """
        self._logger = logger
        self._begins = begins
        self._ends = ends
        self._patience = patience
        self._told = told
        self._elapsed = elapsed
        self._since: float | None = None
        self._details: dict[str, object] = {}
        self._next = 0.0
        self._pause = _FIRST_PAUSE
        self._said = False

    def met(self, **details: object) -> None:
        """It does not work, and that will be tried again; other details than before are told at once."""
        now = self._elapsed()
        if self._since is None:
            self._since, self._next, self._pause = now, now + self._patience, _FIRST_PAUSE
        elif self._said and details != self._details:
            self._next, self._pause = now, _FIRST_PAUSE
        if now < self._next or self._told():
            return
        lasted = {"seconds": round(now - self._since, 1)} if self._said and details == self._details else {}
        self._logger.warning(self._begins, **details, **lasted)
        self._details, self._said = details, True
        self._next, self._pause = now + self._pause, min(2 * self._pause, _LONGEST_PAUSE)

    def over(self) -> None:
        """It works."""
        if self._since is not None and self._said:
            self._logger.info(self._ends, seconds=round(self._elapsed() - self._since, 1))
        self._since, self._said = None, False
