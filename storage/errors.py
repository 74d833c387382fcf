"""What can go wrong with the store, in the store's own words, and how the driver's errors become them."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from procrastinate.exceptions import ConnectorException
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class StoreError(Exception):
    """Something is wrong with the store, not with the call."""


class StoreUnavailable(StoreError):
    """The database does not answer, or has no connection to spare; whether a commit under way took is unknown."""


class StoreContention(StoreError):
    """Other transactions collided with this one, which left nothing behind and may be tried again."""


class StoreTimeout(StoreError):
    """A statement ran longer than the store allows; its transaction left nothing behind."""


class AlreadyExists(Exception):
    """A row with this unique key exists; `constraint` names the key.

    Nothing is wrong with the store: whoever adds rows expects it, or has a defect.
    """

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


# PostgreSQL's SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html
_CONTENTION = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock timeout
_TIMEOUT = "57014"  # statement timeout
_UNIQUE = "23505"
_GONE = ("08", "53", "57P", "25P03", "58")  # connection lost, out of resources, shutting down, idle too long, I/O error
_READ_ONLY = "25006"  # a standby, or a primary demoted: it cannot write now


@contextmanager
def translated() -> Iterator[None]:
    """Turns the driver's errors into a StoreError or AlreadyExists; anything else is a defect and rises as it is."""
    try:
        yield
    except PoolTimeoutError as error:
        raise StoreUnavailable from error
    except DBAPIError as error:
        raise _translated(error, error.orig, invalidated=error.connection_invalidated) from error
    except ConnectorException as error:  # the queue's name for any error of the driver's
        raise _translated(error, error.__cause__) from error
    except psycopg.OperationalError as error:
        raise StoreUnavailable from error


def _translated(error: Exception, cause: BaseException | None, *, invalidated: bool = False) -> BaseException:
    state = (cause.sqlstate if isinstance(cause, psycopg.Error) else None) or ""
    if state in _CONTENTION:
        return StoreContention()
    if state == _TIMEOUT:
        return StoreTimeout()
    if state == _UNIQUE and isinstance(cause, psycopg.Error):
        return AlreadyExists(cause.diag.constraint_name or "")
    if state.startswith(_GONE) or state == _READ_ONLY or invalidated:
        return StoreUnavailable()
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) and not state:
        return StoreUnavailable()
    return error
