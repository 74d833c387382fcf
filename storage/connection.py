"""Connections to PostgreSQL: how they are opened, what is checked first, and how they are abandoned."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from functools import cached_property
from json import JSONDecoder
from math import ceil
from time import monotonic
from typing import Any

import psycopg
from psycopg import pq, sql, waiting
from psycopg.types.json import set_json_loads

from storage.durability import ConfirmingConnection
from storage.errors import StoreUnavailable
from storage.limits import HIDING_WARNINGS, LIMITS, MESSAGES, READ_LIMITS, SET_LIMITS, set_limits_served_by
from storage.pooler import Pooler
from storage.problems import OLDEST_VERSION, DatabaseProblem, ProblemKind, problem_of
from storage.time_limits import CONNECT_SECONDS
from storage.timelines import HostStatus
from storage.url import parameters, secrets

_DEFAULTS: Mapping[str, str | int] = {
    # A server that is gone without a word, as after a failover, is found out within half a minute.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    # In a database of no encoding, texts would come as bytes, and the worker would find no job of its own among them.
    "client_encoding": "UTF8",
}
_EMPTY: Mapping[bytes, Callable[[], Any]] = {b"[]": list, b"{}": dict}
"""Most JSON that is stored is that."""
_DECODER = JSONDecoder()


class _Columns(Sequence[psycopg.Column]):
    """The columns of a statement's rows, found out where somebody looks at one."""

    def __init__(self, cursor: psycopg.AsyncCursor[Any], count: int) -> None:
        self._cursor = cursor
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        return self._all[place]

    @cached_property
    def _all(self) -> Sequence[psycopg.Column]:
        return [psycopg.Column(self._cursor, place) for place in range(self._count)]


class _Cursor(psycopg.AsyncCursor[Any]):
    @property
    def description(self) -> Any:
        """SQLAlchemy asks for it after each statement, and of one that was executed before only whether there are rows.

        To describe 30 columns takes 0.1 ms.
        """
        columns = self.pgresult.nfields if self.pgresult else 0
        return _Columns(self, columns) if columns else super().description


class Connection(ConfirmingConnection):
    """A connection that can be abandoned at any moment, and knows for how long it has waited for an answer.

    A cancelled statement ends with its connection. The driver would have the server cancel it and wait up to ten
    seconds for an answer, which a frozen server never gives, so that no deadline would be kept. The server notices by
    `client_connection_check_interval` that nobody listens.
    """

    host_name = ""
    """Which of the URL's hosts it leads to."""
    host_options: Mapping[str, Any] = {}
    """What that one is connected to with."""
    status: HostStatus | None = None
    """What that host said of itself as it was opened; None where it did not."""
    abandoned = ""
    """Why it is not to be used any more; empty while it is good."""
    answered_at = 0.0
    """By the monotonic clock: when its last answer was complete."""
    waiting_since: float | None = None
    """By the same clock: since when an answer is due, or it listens; None while neither is so."""
    on_abandoned: "Callable[[Connection], None] | None" = None
    """Called just before it ends because whoever waited on it was cancelled."""
    _listens = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        set_json_loads(_json, self)
        self.cursor_factory = _Cursor

    def waiting_seconds(self, now: float) -> float:
        """For how long an answer has been due; 0 while none is, as while it only listens for notifications."""
        return 0.0 if self.waiting_since is None or self._listens else now - self.waiting_since

    def abandon(self, why: str) -> None:
        """Ends it without a word to the server; whoever waits on it gets the error immediately, and so does whoever
        uses it later.

        The socket is shut down and not closed: its number must not become another connection's while the event loop
        still waits on it.
        """
        self.abandoned = why
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.pgconn.socket)) as ours:
            ours.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Ends it without a word to the server, and permanently: nobody will use it any more, though somebody may
        wait."""
        if self.waiting_since is None:
            self.pgconn.finish()
        else:
            self.abandon("the database was closed")

    async def _exchanged(self, gen: Any, interval: float, timeout: float | None) -> Any:  # noqa: ASYNC109 - theirs
        # Two readings of the clock are all that it costs: a timer for each statement would cost more than the rest.
        self.waiting_since = monotonic()
        try:
            answer = await waiting.wait_async(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        except asyncio.CancelledError:
            if self.on_abandoned is not None:
                self.on_abandoned(self)
            self.pgconn.finish()
            raise
        except psycopg.OperationalError:
            if self.abandoned:
                raise psycopg.OperationalError(self.abandoned) from None
            raise
        finally:
            self.waiting_since = None
        self.answered_at = monotonic()
        return answer

    async def notifies(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - theirs
        stop_after: int | None = None,
    ) -> AsyncGenerator[psycopg.Notify, None]:
        """No answer is due while it listens."""
        self._listens = True
        try:
            async with aclosing(super().notifies(timeout=timeout, stop_after=stop_after)) as notifications:
                async for each in notifications:
                    yield each
        finally:
            self._listens = False


def _json(text: str | bytes) -> Any:
    """The same as `json.loads`, which finds out the encoding of each value first: here it is known."""
    if isinstance(text, str):
        return _DECODER.decode(text)
    make = _EMPTY.get(text)
    return _DECODER.decode(text.decode()) if make is None else make()


def options_of(
    url: str, application_name: str, pooler: Pooler, *, connect_seconds: float = CONNECT_SECONDS
) -> Mapping[str, Any]:
    """What to connect with; what the URL says counts, as its own `connect_timeout`."""
    options: dict[str, Any] = {
        **_DEFAULTS,
        "connect_timeout": ceil(connect_seconds),
        "application_name": application_name,
        **parameters(url),
    }
    if pooler is Pooler.TRANSACTION:
        # A statement that has a name is known to one connection of the server's, and the next may be another one.
        options["prepare_threshold"] = None
    if "," in f"{options.get('host', '')}{options.get('hostaddr', '')}":
        # Of several hosts one is the primary, and nothing of ours is of use on the others.
        options.setdefault("target_session_attrs", "read-write")
    return options


@contextmanager
def reasons(url: str) -> Iterator[None]:
    """Why a connection by this URL is not to be had, as StoreUnavailable."""
    try:
        yield
    except psycopg.Error as error:
        raise StoreUnavailable(problem_of(error, secrets(url))) from error
    except UnicodeError:  # from Python's own encoding of host names, before any host is asked
        raise StoreUnavailable(
            DatabaseProblem(ProblemKind.NAME, "the host's name is none: a part of it is too long, or empty")
        ) from None


def open_unlimited(url: str, *, application_name: str = "backroom-migrate") -> psycopg.Connection[Any]:
    """A connection on which nothing is limited, with a pooler between or without; raises StoreUnavailable."""
    with reasons(url):
        connection = psycopg.connect(**options_of(url, application_name, Pooler.TRANSACTION))
    try:
        check_version(connection.pgconn)
    except StoreUnavailable:
        connection.close()
        raise
    return connection


async def ensure_usable(connection: psycopg.AsyncConnection[Any], pooler: Pooler, issuer: str | None = None) -> None:
    """Ensures that the server is new enough and the limits apply; raises StoreUnavailable where that cannot be.

    And where the database is another issuer's than this one; None is let into any.
    """
    check_version(connection.pgconn)
    autocommit = connection.autocommit
    try:
        await connection.set_autocommit(True)
        cursor = await connection.execute(apply_limits(pooler, connection.pgconn))
        found = await cursor.fetchone()
        belongs_to = await _belongs_to(connection) if issuer is not None else None
        await connection.set_autocommit(autocommit)
    except psycopg.Error as error:
        raise StoreUnavailable(problem_of(error)) from error
    assert found is not None  # noqa: S101 - one row
    served_by, limits, shown = found
    if pooler is Pooler.NONE and served_by != connection.pgconn.backend_pid:
        raise StoreUnavailable(
            DatabaseProblem(ProblemKind.POOLER, "a connection pooler is between Backroom and PostgreSQL")
        )
    check_limits(limits)
    check_warnings(shown)
    if issuer is not None and belongs_to is not None:
        check_issuer(belongs_to, issuer)


async def _belongs_to(connection: psycopg.AsyncConnection[Any]) -> str | None:
    """Whose database it is; None where nobody has claimed it yet, or it is not migrated so far."""
    try:
        row = await (await connection.execute("SELECT issuer FROM frame.environment")).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return str(row[0]) if row else None


def apply_limits(pooler: Pooler, connection: pq.abc.PGconn) -> sql.Composed:
    """What makes the limits apply as far as that can be done here; returns the process that serves, and the limits."""
    if pooler is Pooler.NONE:
        return set_limits_served_by(connection.backend_pid)
    return SET_LIMITS if pooler is Pooler.SESSION else READ_LIMITS


def check_version(connection: pq.abc.PGconn) -> None:
    """Raises StoreUnavailable where PostgreSQL is older than what is promised."""
    found = connection.server_version // 10_000
    if found < OLDEST_VERSION:
        shown = (connection.parameter_status(b"server_version") or b"").decode() or str(found)
        text = f"the server is PostgreSQL {shown.split()[0]}, and {OLDEST_VERSION} or newer is needed"
        raise StoreUnavailable(DatabaseProblem(ProblemKind.VERSION, text))


def check_limits(found: Sequence[str]) -> None:
    """Raises StoreUnavailable where one of the limits does not apply."""
    missing = [name for name, value in zip(LIMITS, found, strict=True) if value == "0"]
    if missing:
        raise StoreUnavailable(
            DatabaseProblem(ProblemKind.LIMITS, f"behind the pooler there is no {', no '.join(missing)}")
        )


def check_warnings(shown: str) -> None:
    """Raises StoreUnavailable where PostgreSQL would not report that a commit was not confirmed."""
    if shown in HIDING_WARNINGS:
        raise StoreUnavailable(DatabaseProblem(ProblemKind.LIMITS, f"behind the pooler {MESSAGES} is {shown}"))


def check_issuer(belongs_to: str, issuer: str) -> None:
    """Raises StoreUnavailable where the database is another one's."""
    if belongs_to != issuer:
        text = f"the database belongs to {belongs_to}, and BACKROOM_ISSUER is {issuer}"
        raise StoreUnavailable(DatabaseProblem(ProblemKind.ENVIRONMENT, text))
