"""Opens connections to the host that is the primary, and abandons those to a host that hangs.

A host that hangs is one whose kernel answers for it while PostgreSQL does not: neither keepalives nor tcp_user_timeout
notice. A statement that takes long proves nothing either, since it may wait for a lock or a disk. So the host is asked
by a connection of its own, and only one that does not answer that is abandoned, with all its connections together.

A host that answers is asked what the sessions do that leave us waiting. One that has nothing to do, twice, has never
received the statement, or its answer was lost: something between swallows what is sent on established connections, and
may acknowledge it, as a proxy does. Those connections are abandoned, with all that have answered nothing since, and
their sessions are ended: the host does not learn that nobody is there any more, and keeps their locks.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Any
from weakref import WeakSet

import psycopg
from psycopg.conninfo import conninfo_attempts_async

from storage.connection import Connection, ensure_usable, options_of, reasons
from storage.host import (
    PROBE_SECONDS,
    active_sessions,
    ask_host,
    end_idle,
    finish,
    host_status,
    was_promoted_after,
)
from storage.pooler import Pooler
from storage.problems import ProblemKind, problem_of
from storage.time_limits import TimeLimits
from storage.timelines import HostStatus, Timelines
from storage.url import parameters

HEAD_START_SECONDS = 0.3
"""How long one host has to accept a connection before the next is tried in parallel: RFC 8305's idea, for servers."""
RETRY_SECONDS = 0.5
"""How soon a host that is no primary yet is asked again, while another one still leaves us waiting."""
POLL_SECONDS = 0.5
"""How often it is looked whether an answer is overdue."""
SUSPECT_SECONDS = 1.0
"""How long an answer may be due before its host is asked whether it lives: most take milliseconds."""
PROBE_PAUSE_SECONDS = 2.0
"""Between two questions to a host that answers them: a statement that takes long may take very long."""

_MAX_ABANDONED = 200
"""Sessions beyond are kept in mind no longer: more are not left within the seconds that it takes to find one out."""
_ABANDONED_SECONDS = 30.0
"""After which PostgreSQL itself has ended it: `idle_in_transaction_session_timeout`."""
_TIMELINE_POLLS = 20
"""After a connection was found out, once every POLL_SECONDS."""

_OF_THE_DRIVER = frozenset({"autocommit", "prepare_threshold", "context", "row_factory", "cursor_factory"})
"""What the driver takes in addition to libpq's parameters."""
_MAY_TURN = frozenset({ProblemKind.STANDBY, ProblemKind.STARTING})
"""What a host says that is about to become the primary."""
_HOST = re.compile(r"^connection to server (at|on) .*? failed: ")
Opening = Callable[[], AbstractContextManager[None]]


class Connector:
    """One process's way to one database, whichever of the URL's hosts is its primary.

    Attempts race: the host that worked last has a head start, and the first that takes changes wins. An old primary
    that is back is refused once a promotion was seen.
    """

    def __init__(
        self,
        url: str,
        *,
        application_name: str,
        pooler: Pooler = Pooler.NONE,
        issuer: str | None = None,
        limits: TimeLimits = TimeLimits(),  # noqa: B008 - it is frozen
        opening: Opening = nullcontext,
    ) -> None:
        """`pooler` is the connection pooler in between, and `opening` is entered around the opening of each connection.

        There is no connection to a database that belongs to another than `issuer`; None is let into any.
        Raises ValueError where the URL is malformed.
        """
        self._url = url
        self._options = options_of(url, application_name, pooler, connect_seconds=limits.connect)
        given = parameters(url).get("connect_timeout")
        self._connect_seconds = limits.connect if given is None else float(given) or None
        self._pooler = pooler
        self._issuer = issuer
        self._opening = opening
        self._hosts: Mapping[str, Mapping[str, Any]] = {}
        """What to connect with, by the host's name, as they were resolved last."""
        self._last_host = ""
        """The host that was the primary last."""
        self._hanging: set[str] = set()
        self.timelines = Timelines()
        self._connections: WeakSet[Connection] = WeakSet()
        self._polling: asyncio.TimerHandle | None = None
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._probed_at: dict[str, float] = {}
        self._silent: dict[tuple[str, int], float] = {}
        """Sessions that had nothing to do though they leave us waiting, with since when."""
        self._abandoned: deque[tuple[str, int, float]] = deque(maxlen=_MAX_ABANDONED)
        """The last sessions that nobody waited for any longer, with when that was."""

    async def open(self) -> Connection:
        """A connection on which the limits apply; raises StoreUnavailable, which says why there is none."""
        with reasons(self._url):
            connection = await self.connect()
        try:
            await self.ensure_usable(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def ensure_usable(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Ensures that the limits apply on a connection of this connector's; raises StoreUnavailable."""
        await ensure_usable(connection, self._pooler, self._issuer)

    async def connect(self, **more: Any) -> Connection:
        """A connection on which no limits apply yet, with more of the driver's parameters; raises psycopg.Error."""
        options = {**self._options, **more}
        of_driver = {name: options.pop(name) for name in _OF_THE_DRIVER & options.keys()}
        with self._opening():
            attempts = await conninfo_attempts_async(options)
            self._hosts = {_name(attempt): attempt for attempt in attempts}
            connection = await self._first_to_answer(of_driver)
        self._last_host = connection.host_name
        self._hanging.discard(connection.host_name)
        self._watch()
        return connection

    def connection_class(self) -> type[Connection]:
        """For pools that are given a class to connect by: its connections are opened by this connector."""
        connector = self

        class Connected(Connection):
            @classmethod
            async def connect(cls, conninfo: str = "", **more: Any) -> Any:  # noqa: ARG003 - all is known already
                return await connector.connect(**more)

        return Connected

    async def close(self) -> None:
        """Stops checking hosts, and ends what is still open.

        Whoever was cancelled a moment ago may not have put its connection back yet, and no pool would close it then.
        """
        if self._polling is not None:
            self._polling.cancel()
            self._polling = None
        probes = tuple(self._probes.values())
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        for connection in self._connections:
            if not connection.closed:
                connection.end()

    async def _first_to_answer(self, of_driver: Mapping[str, Any]) -> Connection:
        """The connection of the first host that takes changes."""
        if len(self._hosts) == 1:
            (name,) = self._hosts
            return await self._attempt(name, of_driver)
        race = _Race(lambda name: self._attempt(name, of_driver), self._in_order())
        return await race.run()

    def _in_order(self) -> Iterable[str]:
        return sorted(self._hosts, key=lambda name: (name in self._hanging, name != self._last_host))

    async def _attempt(self, name: str, of_driver: Mapping[str, Any]) -> Connection:
        connection: Connection | None = None
        options = self._hosts[name]
        try:
            async with asyncio.timeout(self._connect_seconds):
                connection = await Connection.connect(**options, **of_driver)
                connection.host_name, connection.host_options = name, options
                await self._check_timeline(connection)
        except TimeoutError:
            finish(connection)
            raise psycopg.errors.ConnectionTimeout(
                f"connection timeout expired: it let nobody in within {self._connect_seconds:g} s"
            ) from None
        except BaseException:
            finish(connection)
            raise
        connection.on_abandoned = self._note_abandoned
        self._connections.add(connection)
        return connection

    async def _check_timeline(self, connection: Connection) -> None:
        """Raises OperationalError where another host was promoted since this one was the primary.

        Connections to primaries of before are abandoned once a newer one is seen: what is read on them may be undone.
        Where all share one address, an older timeline may just as well be that of a backup.
        """
        found = await host_status(connection)
        if found is None:
            return
        if 0 < found.timeline < (newest := self.timelines.newest(found.system)) and len(self._hosts) > 1:
            raise psycopg.OperationalError(
                f"an old primary: it is at timeline {found.timeline}, and one at {newest} was seen; stop it"
            )
        connection.status = found
        if self.timelines.record(found):
            for other in self._connections:
                if other.status is not None and found.is_newer_than(other.status):
                    other.abandon(f"{other.host_name} is an old primary: another was promoted")

    def _watch(self) -> None:
        if self._polling is None:
            self._polling = asyncio.get_running_loop().call_later(POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        """Asks each host that leaves somebody waiting whether it lives."""
        self._polling = None
        now = monotonic()
        connections = [each for each in self._connections if not each.closed]
        for name in {each.host_name for each in connections if each.waiting_seconds(now) > SUSPECT_SECONDS}:
            if name not in self._probes and now - self._probed_at.get(name, 0) > PROBE_PAUSE_SECONDS:
                options = next(each.host_options for each in connections if each.host_name == name)
                self._probes[name] = asyncio.create_task(self._probe(name, {**self._hosts, name: options}))
                self._probes[name].add_done_callback(lambda _, name=name: self._probed(name))  # type: ignore[misc]
        if connections:
            self._watch()

    async def _probe(self, suspect: str, hosts: Mapping[str, Mapping[str, Any]]) -> None:
        """Abandons all connections to a host that does not answer, or that another has taken the place of."""
        began = monotonic()
        answers = dict(zip(hosts, await asyncio.gather(*map(ask_host, hosts.values())), strict=True))
        if monotonic() - began > 2 * PROBE_SECONDS:  # it is this process that was frozen, and received nothing
            return
        theirs = [each for each in self._connections if each.host_name == suspect]
        answer = answers[suspect]
        if answer is None and not any(each.answered_at > began for each in theirs):
            self._abandon(suspect, f"{suspect} timed out: it hangs, and its connections were abandoned")
        elif isinstance(answer, HostStatus) and any(was_promoted_after(other, answer) for other in answers.values()):
            self._abandon(
                suspect, f"{suspect} is an old primary: another was promoted, and its connections were abandoned"
            )
        elif answer is not None and self._pooler is Pooler.NONE:
            await self._find_silent(suspect, hosts[suspect])

    def _probed(self, name: str) -> None:
        del self._probes[name]
        self._probed_at[name] = monotonic()

    async def _find_silent(self, name: str, options: Mapping[str, Any]) -> None:
        """Finds out connections on which nothing gets through any more, to a host that lives."""
        now = monotonic()
        overdue = {
            each.pgconn.backend_pid: each.waiting_since
            for each in self._connections_to(name)
            if each.waiting_seconds(now) > SUSPECT_SECONDS
        }
        left = self._abandoned_on(name)
        working = await active_sessions(options, [*overdue, *left])
        if working is None:
            return
        idle = {pid: since for pid, since in overdue.items() if since is not None and pid not in working}
        before = {pid: since for (host, pid), since in self._silent.items() if host == name and pid not in working}
        lost = [since for pid, since in before.items() if idle.get(pid) == since or pid in left]
        self._silent = {key: since for key, since in self._silent.items() if key[0] != name}
        self._silent |= {(name, pid): since for pid, since in idle.items()}
        if lost:
            await self._abandon_silent(name, options, max(lost))

    async def _abandon_silent(self, name: str, options: Mapping[str, Any], lost_since: float) -> None:
        """Abandons what has answered nothing since then and does nothing, and ends the sessions.

        A session that waits for another one's lock does something, until that one is ended: so it is looked again.
        """
        ended: list[int] = []
        for _ in range(_TIMELINE_POLLS):
            doubtful = {
                each.pgconn.backend_pid: each for each in self._connections_to(name) if each.answered_at < lost_since
            }
            working = await active_sessions(options, [*doubtful, *self._abandoned_on(name)])
            if working is None:
                return
            for pid, each in doubtful.items():
                if pid not in working and each.answered_at < lost_since:
                    each.abandon(f"the connection was lost: {name} answers, and not on it")
                    ended.append(pid)
            await end_idle(options, [*ended, *self._abandoned_on(name)])
            if not working:
                return
            await asyncio.sleep(POLL_SECONDS)

    def _connections_to(self, name: str) -> Sequence[Connection]:
        return [each for each in self._connections if each.host_name == name and not each.closed and not each.abandoned]

    def _abandoned_on(self, name: str) -> Sequence[int]:
        since = monotonic() - _ABANDONED_SECONDS
        return [pid for host, pid, at in self._abandoned if host == name and at > since]

    def _note_abandoned(self, connection: Connection) -> None:
        if not connection.closed:
            self._abandoned.append((connection.host_name, connection.pgconn.backend_pid, monotonic()))

    def _abandon(self, name: str, why: str) -> None:
        self._hanging.add(name)
        for connection in self._connections:
            if connection.host_name == name:
                connection.abandon(why)


class _Race:
    """Attempts at several hosts, each started a moment after the one before or when that has failed."""

    def __init__(self, attempt: Callable[[str], Coroutine[Any, Any, Connection]], names: Iterable[str]) -> None:
        self._attempt = attempt
        self._waiting = deque(names)
        self._running: dict[asyncio.Task[Connection], str] = {}
        self._failures: dict[str, psycopg.Error] = {}

    async def run(self) -> Connection:
        """The first established connection; the others are abandoned; raises OperationalError."""
        won: Connection | None = None
        try:
            while won is None and (self._waiting or self._running):
                won = await self._go_on()
            await self._end()
        except BaseException:  # whoever waits is cancelled
            finish(won)
            await self._end()
            raise
        if won is None:
            text = "; ".join(f"{name}: {_message(error)}" for name, error in self._failures.items())
            raise psycopg.OperationalError(text)
        return won

    async def _go_on(self) -> Connection | None:
        """Begins the next attempt, and gives those under way a moment."""
        pause = HEAD_START_SECONDS if self._waiting else RETRY_SECONDS
        if self._waiting:
            name = self._waiting.popleft()
            self._running[asyncio.create_task(self._attempt(name))] = name
        done, _ = await asyncio.wait(self._running, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if (connection := self._outcome(task)) is not None:
                return connection
        if not done and not self._waiting:
            self._retry_standby()
        return None

    def _outcome(self, task: asyncio.Task[Connection]) -> Connection | None:
        name = self._running.pop(task)
        try:
            return task.result()
        except psycopg.Error as error:
            self._failures[name] = error
            return None

    def _retry_standby(self) -> None:
        """Asks a standby again, which may be promoted at any moment, since another one still leaves us waiting."""
        running = set(self._running.values())
        turning = (name for name, error in self._failures.items() if problem_of(error).kind in _MAY_TURN)
        self._waiting.extend(name for name in turning if name not in running)

    async def _end(self) -> None:
        """Ends what is still under way, and what came too late."""
        for task in self._running:
            task.cancel()
        for outcome in await asyncio.gather(*self._running, return_exceptions=True):
            if isinstance(outcome, Connection):
                finish(outcome)


def _name(attempt: Mapping[str, Any]) -> str:
    host = attempt.get("host") or attempt.get("hostaddr") or "localhost"
    address = attempt.get("hostaddr")
    named = host if address in (None, host) else f"{host} ({address})"
    return f"{named}:{attempt.get('port') or 5432}"


def _message(error: psycopg.Error) -> str:
    """Without the host, which is named already."""
    return _HOST.sub("", problem_of(error).text)
