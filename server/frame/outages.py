"""What the log says of an outage of the database: libpq's own words, and the fix."""

import time
from collections.abc import Callable, Mapping

import structlog

from storage.errors import StoreContention, StoreError, StoreTimeout, StoreUnavailable
from storage.problems import ProblemKind

UNANSWERED = "the database does not answer"
_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 10.0, 60.0
"""Between the lines of one outage. A promotion is over within the first, and so is one line of each process."""
_MAX_DETAILS_EARLY = 2
"""So many different details of one outage are logged after the first pause; further ones wait for the next line."""

POOLER_FIX = "set BACKROOM_DATABASE_POOLER to its pool mode, transaction or session"

_FIXES: Mapping[ProblemKind, str] = {
    ProblemKind.UNKNOWN: "",
    ProblemKind.ABSENT: "start PostgreSQL there, or correct the host and the port in {setting}",
    ProblemKind.NAME: "correct the host in {setting}",
    ProblemKind.SILENT: "see whether the host in {setting} is up and a firewall lets us through",
    ProblemKind.LOST: "it is tried again",
    ProblemKind.STARTING: "wait until it is ready",
    ProblemKind.FULL: "raise its max_connections, or have fewer processes",
    ProblemKind.BUSY: "it is tried again",
    ProblemKind.UNCONFIRMED: (
        "see in pg_stat_replication whether the synchronous standby is there, and whether the disk hangs or the network"
        " drops what is sent; cancel no session that waits for the standby"
    ),
    ProblemKind.STANDBY: "have {setting} name the primary",
    ProblemKind.PASSWORD: (
        "correct the user and the password in {setting}; in it, @ is written as %40, / as %2F and % as %25"
    ),
    ProblemKind.ROLE: "create the role and let it log in, or correct the user in {setting}",
    ProblemKind.DATABASE: "create it with createdb, or correct the name in {setting}",
    ProblemKind.ENTRY: "have pg_hba.conf let this role in from here, or try sslmode=require in {setting}",
    ProblemKind.TLS: "correct sslmode and sslrootcert in {setting}, or the server's certificate",
    ProblemKind.RIGHTS: "grant it to the role in {setting}: backroom doctor lists what is missing",
    ProblemKind.VERSION: "upgrade PostgreSQL, or have {setting} name a newer one",
    ProblemKind.POOLER: POOLER_FIX,
    ProblemKind.LIMITS: "run backroom migrate, which sets them for the role in {setting}",
    ProblemKind.SERVING_ROLE: "create one for it by createuser, and name that one in {setting}",
    ProblemKind.ENVIRONMENT: (
        "correct {setting} or BACKROOM_ISSUER; to make a copy an environment of its own: backroom adopt"
    ),
}


def explained(error: StoreError, setting: str = "DATABASE_URL") -> str:
    """One line, without secrets: which setting it is about, what is the matter, and the fix."""
    hint = fix(error, setting)
    return f"{setting}: {described(error)}{'; ' if hint else ''}{hint}"


def described(error: StoreError) -> str:
    """What is the matter, without secrets."""
    if isinstance(error, StoreContention):
        return "other transactions have locked what this one needs"
    if isinstance(error, StoreTimeout):
        return "a statement took longer than the database allows"
    return str(error) or UNANSWERED


def fix(error: StoreError, setting: str = "DATABASE_URL") -> str:
    """What to do about it; empty where nobody knows."""
    if isinstance(error, StoreUnavailable):
        return _FIXES[error.problem.kind].format(setting=setting)
    return "try again"


class Outage:
    """Says that something does not work: once when it begins, ever more seldom while it lasts, once when it has passed.

    Whoever tries again reports each attempt, however often: only this decides what is written.
    """

    def __init__(
        self,
        logger: structlog.typing.FilteringBoundLogger,
        begin_event: str,
        end_event: str,
        *,
        grace_seconds: float = 0.0,
        already_logged: Callable[[], bool] = lambda: False,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """`begin_event` and `end_event` are the lines; an outage within `grace_seconds` is not logged.

        Nor while `already_logged` says that another line reports it already.
        """
        self._logger = logger
        self._begin_event = begin_event
        self._end_event = end_event
        self._grace_seconds = grace_seconds
        self._already_logged = already_logged
        self._elapsed = elapsed
        self._since: float | None = None
        self._next = 0.0
        self._last = 0.0
        """When a line of this outage was last written."""
        self._pause = _FIRST_PAUSE_SECONDS
        self._logged: list[dict[str, object]] = []
        """The details that were logged of this outage."""

    def record_failure(self, **details: object) -> None:
        """It does not work, and that will be tried again; details that were not logged yet shorten the pause."""
        now = self._elapsed()
        if self._since is None:
            self._since, self._next, self._pause = now, now + self._grace_seconds, _FIRST_PAUSE_SECONDS
        elif self._logged and details not in self._logged and len(self._logged) < _MAX_DETAILS_EARLY:
            self._next, self._pause = self._last + _FIRST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS
        if now < self._next or self._already_logged():
            return
        lasted = {"seconds": round(now - self._since, 1)} if self._logged else {}
        self._logger.warning(self._begin_event, **details, **lasted)
        if details not in self._logged:
            self._logged.append(details)
        self._last, self._next, self._pause = now, now + self._pause, min(2 * self._pause, _MAX_PAUSE_SECONDS)

    def record_recovery(self) -> None:
        """It works."""
        if self._since is not None and self._logged:
            self._logger.info(self._end_event, seconds=round(self._elapsed() - self._since, 1))
        self._since, self._logged = None, []
