"""What is the matter with the database, in libpq's own words and as one of the kinds that a person can fix."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

import psycopg

OLDEST_VERSION = 16
"""Of PostgreSQL, the oldest that is promised."""


class ProblemKind(Enum):
    """What is the matter."""

    UNKNOWN = auto()
    ABSENT = auto()
    """Nothing listens there."""
    NAME = auto()
    """The host's name does not resolve."""
    SILENT = auto()
    """Nothing answers in time."""
    LOST = auto()
    """An established connection has ended."""
    STARTING = auto()
    """It starts, stops or recovers, and lets nobody in meanwhile."""
    FULL = auto()
    """It has no connection left."""
    BUSY = auto()
    """All connections of our own pool are in use."""
    UNCONFIRMED = auto()
    """It answers, and confirms no commits: a synchronous standby is unreachable, its disk hangs, or a wait was
    cancelled."""
    STANDBY = auto()
    """It cannot write: a standby, or a primary that was demoted."""
    PASSWORD = auto()
    ROLE = auto()
    """The role does not exist, or may not log in."""
    DATABASE = auto()
    """The database does not exist, or lets nobody in."""
    ENTRY = auto()
    """pg_hba.conf has no line that lets us in."""
    TLS = auto()
    RIGHTS = auto()
    """The role lacks a right."""
    VERSION = auto()
    """PostgreSQL is too old."""
    POOLER = auto()
    """A pooler is in between, and no setting says so."""
    LIMITS = auto()
    """The time limits do not apply behind the pooler: the database was not migrated by way of it yet."""
    SERVING_ROLE = auto()
    """The role that is to serve is one that nothing can be denied."""
    ENVIRONMENT = auto()
    """The database belongs to another environment."""


_PASSING = {
    *(ProblemKind.UNKNOWN, ProblemKind.ABSENT, ProblemKind.NAME, ProblemKind.SILENT, ProblemKind.LOST),
    *(
        ProblemKind.STARTING,
        ProblemKind.FULL,
        ProblemKind.BUSY,
        ProblemKind.UNCONFIRMED,
        ProblemKind.STANDBY,
        ProblemKind.LIMITS,
    ),
}


@dataclass(frozen=True, slots=True)
class DatabaseProblem:
    """What is the matter with the database."""

    kind: ProblemKind = ProblemKind.UNKNOWN
    text: str = ""
    """One line without secrets; empty where there is no message."""

    @property
    def is_transient(self) -> bool:
        """Whether it may pass by itself; otherwise somebody must change something."""
        return self.kind in _PASSING


# PostgreSQL's SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_STATE = {
    "25006": ProblemKind.STANDBY,
    "26000": ProblemKind.POOLER,  # a named statement is not there: another connection has it
    "28000": ProblemKind.ROLE,
    "28P01": ProblemKind.PASSWORD,
    "3D000": ProblemKind.DATABASE,
    "42501": ProblemKind.RIGHTS,
    "42P05": ProblemKind.POOLER,  # a named statement is there: another client of the pooler made it
    "53300": ProblemKind.FULL,
    "55000": ProblemKind.STANDBY,  # asked for its timeline
    "57P03": ProblemKind.STARTING,
}

# A connection that is refused has no SQLSTATE for us, only libpq's, the server's or PgBouncer's words.
_BY_WORDS = [
    (re.compile(words, re.IGNORECASE), kind)
    for words, kind in (
        (r"not confirmed by the synchronous standby", ProblemKind.UNCONFIRMED),
        (r"failed to resolve|could not translate host name|name or service not known", ProblemKind.NAME),
        (r"password authentication failed|no password supplied|SASL authentication failed", ProblemKind.PASSWORD),
        (r"role .* does not exist|not permitted to log ?in|no such user", ProblemKind.ROLE),
        (r"database .* does not exist|no such database|not currently accepting connections", ProblemKind.DATABASE),
        (r"permission denied", ProblemKind.RIGHTS),
        (r"no pg_hba\.conf entry|rejects connection", ProblemKind.ENTRY),
        (r"couldn't get a connection", ProblemKind.BUSY),
        (r"too many (clients|connections)|remaining connection slots|no more connections|pool_?size", ProblemKind.FULL),
        (r"starting up|shutting down|recovery mode|not yet accepting connections", ProblemKind.STARTING),
        (r"unsupported startup parameter|prepared statement", ProblemKind.POOLER),
        (r"\bSSL\b|\bTLS\b|certificate|sslmode|sslrootcert", ProblemKind.TLS),
        (r"connection refused|no such file or directory|not known to be listening", ProblemKind.ABSENT),
        (r"timeout|timed out|no route to host|network is unreachable", ProblemKind.SILENT),
        (r"session is read-only|hot standby|an old primary", ProblemKind.STANDBY),
        (r"terminating connection|closed the connection|connection is closed|connection reset|lost", ProblemKind.LOST),
    )
]
_PREFIX = re.compile(r"^(connection failed|connection is bad|consuming input failed|sending query failed[^:]*): ")


def problem_of(error: psycopg.Error, secrets: Iterable[str] = ()) -> DatabaseProblem:
    """What an error of the driver's says; not for one that a statement's own values may have caused."""
    said = error.diag.message_primary or _line(str(error))
    for secret in secrets:
        said = said.replace(secret, "***")
    return DatabaseProblem(_BY_STATE.get(error.sqlstate or "") or _kind(said), said)


def _kind(said: str) -> ProblemKind:
    return next((kind for words, kind in _BY_WORDS if words.search(said)), ProblemKind.UNKNOWN)


def _line(text: str) -> str:
    """The line that says it; the lines around it are advice, and what else was tried."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    said = next((line for line in lines if "FATAL:" in line), lines[0])
    return " ".join(_PREFIX.sub("", said).split())
