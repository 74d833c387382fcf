"""What can go wrong with the store, in the store's own words, and how the driver's errors become them."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from procrastinate.exceptions import ConnectorException
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from storage.problems import DatabaseProblem, ProblemKind, problem_of


class StoreError(Exception):
    """Something is wrong with the store, not with the call."""


class StoreUnavailable(StoreError):
    """The database does not answer, or does not let us do our work; whether a commit under way took is unknown."""

    def __init__(self, problem: DatabaseProblem = DatabaseProblem()) -> None:  # noqa: B008 - it is frozen
        super().__init__(problem.text)
        self.problem = problem


class StoreContention(StoreError):
    """Other transactions collided with this one, which left nothing behind and may be tried again."""


class StoreTimeout(StoreError):
    """A statement ran longer than the store allows; its transaction left nothing behind."""


class TimelineChanged(StoreError):
    """The database is on another timeline than the position in question: a standby was promoted, or it was restored."""

    def __init__(self) -> None:
        super().__init__("a standby was promoted, or the database was restored")


class AlreadyExists(Exception):
    """A row exists that a unique key or an exclusion constraint allows no other beside; `constraint` names it.

    Nothing is wrong with the store: whoever adds rows expects it, or has a defect.
    """

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


# PostgreSQL's SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html
_CONTENTION = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock timeout
_TIMEOUT = "57014"  # statement timeout
_TAKEN = {"23505", "23P01"}  # by a unique key, or by what a constraint excludes beside it
_GONE = ("08", "53", "57P", "25P03", "58")  # connection lost, out of resources, shutting down, idle too long, I/O error
_READ_ONLY = {"25006", "55000"}  # a standby, or a primary demoted: it cannot write now, and has no timeline to report
_REFUSED = ("28", "3D000", "42501")  # a login, an unknown database, a missing right
_DRIVERS = (PoolTimeoutError, DBAPIError, ConnectorException, psycopg.OperationalError)
_NAMED_STATEMENTS = {"26000", "42P05"}  # what a pooler in transaction mode makes of them


@contextmanager
def translated() -> Iterator[None]:
    """Turns the driver's errors into a StoreError or AlreadyExists; anything else is a defect and is raised as it
    is."""
    try:
        yield
    except _DRIVERS as error:
        raise translation(error) from error


@contextmanager
def translated_here() -> Iterator[None]:
    """The same where the driver is used by itself, past SQLAlchemy; of a table without a partition for a row,
    StoreContention."""
    try:
        yield
    except psycopg.errors.CheckViolation as error:
        if error.diag.constraint_name is None:
            raise StoreContention from error
        raise
    except psycopg.Error as error:
        raise _translated(error, error) from error


def translation(error: Exception) -> BaseException:
    """What an error of the driver's, of a pool's or of the queue's means: a StoreError, AlreadyExists, or itself."""
    if isinstance(error, PoolTimeoutError):
        return StoreUnavailable(DatabaseProblem(ProblemKind.BUSY, "all connections of the pool are in use"))
    if isinstance(error, DBAPIError):
        return _translated(error, error.orig, invalidated=error.connection_invalidated)
    if isinstance(error, ConnectorException):  # the queue's name for any error of the driver's
        return _translated(error, error.__cause__)
    if isinstance(error, psycopg.OperationalError):
        return StoreUnavailable(problem_of(error))
    return error


def _translated(error: Exception, cause: BaseException | None, *, invalidated: bool = False) -> BaseException:
    state = (cause.sqlstate if isinstance(cause, psycopg.Error) else None) or ""
    if state in _CONTENTION:
        return StoreContention()
    if state == _TIMEOUT:
        return StoreTimeout()
    if state in _TAKEN and isinstance(cause, psycopg.Error):
        return AlreadyExists(cause.diag.constraint_name or "")
    if isinstance(cause, StoreUnavailable):  # why there is no connection
        return cause
    gone = state.startswith((*_GONE, *_REFUSED)) or state in _READ_ONLY or state in _NAMED_STATEMENTS or invalidated
    if gone or (isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) and not state):
        return StoreUnavailable(problem_of(cause) if isinstance(cause, psycopg.Error) else DatabaseProblem())
    return error
