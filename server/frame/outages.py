"""What an operator is told when the database is in trouble: libpq's own words, and the mend."""

import time
from collections.abc import Callable, Mapping

import structlog

from storage.errors import StoreContention, StoreError, StoreTimeout, StoreUnavailable
from storage.trouble import Kind

UNANSWERED = "the database does not answer"
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0
"""In seconds, between the lines of one outage."""
_TOLD_AT_ONCE = 2
"""So many different details of one outage are told as they come; further ones wait for the next line."""

POOLER_MEND = "set BACKROOM_DATABASE_POOLER to its pool mode, transaction or session"

_MENDS: Mapping[Kind, str] = {
    Kind.UNKNOWN: "",
    Kind.ABSENT: "start PostgreSQL there, or correct the host and the port in {setting}",
    Kind.NAME: "correct the host in {setting}",
    Kind.SILENT: "see whether the host in {setting} is up and a firewall lets us through",
    Kind.LOST: "it is tried again",
    Kind.STARTING: "wait until it is ready",
    Kind.FULL: "raise its max_connections, or have fewer processes",
    Kind.BUSY: "it is tried again",
    Kind.UNCONFIRMED: "see in pg_stat_replication whether the synchronous standby is there, and whether the disk hangs;"
    " cancel no session that waits for it",
    Kind.STANDBY: "have {setting} name the primary",
    Kind.PASSWORD: "correct the user and the password in {setting}; in it, @ is written as %40, / as %2F and % as %25",
    Kind.ROLE: "create the role and let it log in, or correct the user in {setting}",
    Kind.DATABASE: "create it with createdb, or correct the name in {setting}",
    Kind.ENTRY: "have pg_hba.conf let this role in from here, or try sslmode=require in {setting}",
    Kind.TLS: "correct sslmode and sslrootcert in {setting}, or the server's certificate",
    Kind.RIGHTS: "grant it to the role in {setting}: backroom doctor lists what is missing",
    Kind.VERSION: "upgrade PostgreSQL, or have {setting} name a newer one",
    Kind.POOLER: POOLER_MEND,
    Kind.LIMITS: "run backroom migrate, which sets them for the role in {setting}",
    Kind.SERVING_ROLE: "create one for it by createuser, and name that one in {setting}",
    Kind.ENVIRONMENT: "correct {setting} or BACKROOM_ISSUER; to make a copy an environment of its own: backroom adopt",
}


def explained(error: StoreError, setting: str = "DATABASE_URL") -> str:
    """One line, without secrets: which setting it is about, what is the matter, and the mend."""
    mended = mend(error, setting)
    return f"{setting}: {said(error)}{'; ' if mended else ''}{mended}"


def said(error: StoreError) -> str:
    """What is the matter, without secrets."""
    if isinstance(error, StoreContention):
        return "other transactions hold what this one needs"
    if isinstance(error, StoreTimeout):
        return "a statement took longer than the database allows"
    return str(error) or UNANSWERED


def mend(error: StoreError, setting: str = "DATABASE_URL") -> str:
    """What to do about it; empty where nobody knows."""
    if isinstance(error, StoreUnavailable):
        return _MENDS[error.trouble.kind].format(setting=setting)
    return "try again"


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
        self._next = 0.0
        self._pause = _FIRST_PAUSE
        self._said: list[dict[str, object]] = []
        """The details that were told of this outage."""

    def met(self, **details: object) -> None:
        """It does not work, and that will be tried again; details that were not told yet are told at once."""
        now = self._elapsed()
        if self._since is None:
            self._since, self._next, self._pause = now, now + self._patience, _FIRST_PAUSE
        elif self._said and details not in self._said and len(self._said) < _TOLD_AT_ONCE:
            self._next, self._pause = now, _FIRST_PAUSE
        if now < self._next or self._told():
            return
        lasted = {"seconds": round(now - self._since, 1)} if self._said else {}
        self._logger.warning(self._begins, **details, **lasted)
        if details not in self._said:
            self._said.append(details)
        self._next, self._pause = now + self._pause, min(2 * self._pause, _LONGEST_PAUSE)

    def over(self) -> None:
        """It works."""
        if self._since is not None and self._said:
            self._logger.info(self._ends, seconds=round(self._elapsed() - self._since, 1))
        self._since, self._said = None, []
