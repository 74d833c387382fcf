"""The question to a host on a connection of its own, when another one to it leaves us waiting."""

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, LiteralString

import psycopg

from storage.connection import Connection
from storage.problems import ProblemKind, problem_of
from storage.timelines import HostStatus

PROBE_SECONDS = 2.0
"""How long a host may take to answer that: a busy machine takes tenths of a second to start a session."""
_UNREACHABLE = frozenset({ProblemKind.SILENT, ProblemKind.ABSENT, ProblemKind.NAME, ProblemKind.LOST})
_STATUS = """
    SELECT system_identifier, CASE WHEN pg_is_in_recovery() THEN 0
      ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END
    FROM pg_control_system()
"""
"""Each promotion begins a timeline with a higher number; in recovery there is none of one's own."""
_AT_WORK = "SELECT pid FROM pg_stat_activity WHERE pid = ANY(%s) AND coalesce(state, '') NOT LIKE 'idle%%'"
"""Where it does not say what a session does, as with track_activities = off, it may be at work."""
_END_IDLE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid = ANY(%s) AND state LIKE 'idle%%' AND usename = current_user AND application_name = %s
"""
"""A number may be another session's by now."""


class Alive:
    """A host that answers this question, but not the statement that waits."""


Answer = HostStatus | Alive | None
"""None for a host that does not answer."""


async def ask_host(options: Mapping[str, Any]) -> Answer:
    """What a host says of itself, or just that it lives; None where it does not answer."""
    options = {**options, "application_name": "backroom-probe", "target_session_attrs": "any"}
    connection: Connection | None = None
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            connection = await Connection.connect(**options, prepare_threshold=None)
            return await host_status(connection) or Alive()
    except TimeoutError:
        return None
    except psycopg.Error as error:
        return None if problem_of(error).kind in _UNREACHABLE else Alive()
    finally:
        finish(connection)


async def active_sessions(options: Mapping[str, Any], sessions: Sequence[int]) -> AbstractSet[int] | None:
    """Which of these sessions of a host's do something; None where it does not say."""
    found = await _found(options, _AT_WORK, [list(sessions)])
    return None if found is None else {int(row[0]) for row in found}


async def end_idle(options: Mapping[str, Any], sessions: Sequence[int]) -> None:
    """Ends those of these sessions, all of which were ours, that have nothing to do: they may have locks."""
    await _found(options, _END_IDLE, [list(sessions), options["application_name"]])


async def _found(options: Mapping[str, Any], query: LiteralString, values: Sequence[object]) -> list[Any] | None:
    """None where it does not answer."""
    options = {**options, "application_name": "backroom-probe", "target_session_attrs": "any"}
    connection: Connection | None = None
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            connection = await Connection.connect(**options, prepare_threshold=None, autocommit=True)
            return await (await connection.execute(query, values)).fetchall()
    except (TimeoutError, psycopg.Error):
        return None
    finally:
        finish(connection)


async def host_status(connection: Connection) -> HostStatus | None:
    """None where the role may not know."""
    autocommit = connection.autocommit
    await connection.set_autocommit(True)
    try:
        row = await (await connection.execute(_STATUS, prepare=False)).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        row = None
    await connection.set_autocommit(autocommit)
    if row is None:
        return None
    system, timeline = row.values() if isinstance(row, dict) else row
    return HostStatus(int(system), int(timeline))


def was_promoted_after(other: Answer, host: Answer) -> bool:
    """Whether another host was promoted since this one was."""
    return isinstance(other, HostStatus) and isinstance(host, HostStatus) and other.is_newer_than(host)


def finish(connection: Connection | None) -> None:
    """Closes it immediately; nobody waits on it."""
    if connection is not None:
        connection.pgconn.finish()
