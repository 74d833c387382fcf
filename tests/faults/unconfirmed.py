"""A synchronous standby that does not exist, so that no commit is confirmed: one server is enough for that."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from tests.faults.replication import synchronous, waiting
from tests.fixtures.postgres_nodes import until
from tests.fixtures.trading import eventually

SETTLED_SECONDS = 0.7
"""Longer than a call takes that does not wait."""


@asynccontextmanager
async def unconfirmed(url: str) -> AsyncIterator[None]:
    """Commits on this server wait until the block ends."""
    try:
        await asyncio.to_thread(_leave_unconfirmed, url)
        yield
    finally:
        await asyncio.to_thread(synchronous, url, "")


def _leave_unconfirmed(url: str) -> None:
    """Returns once a commit was seen to wait.

    Sessions skip the wait until the checkpointer has read the setting, too, which no session can see.
    """
    synchronous(url, "absent")
    with psycopg.connect(url, autocommit=True) as probe:
        until(lambda: _waits(probe, url))
        cancel(url, [probe.info.backend_pid])
        while probe.pgconn.get_result() is not None:
            pass


def _waits(probe: psycopg.Connection[Any], url: str) -> bool:
    """Whether the commit of this session waits; where none is under way, another one begins."""
    probe.pgconn.consume_input()
    if not probe.pgconn.is_busy():
        while probe.pgconn.get_result() is not None:
            pass
        probe.pgconn.send_query(b"SELECT pg_logical_emit_message(true, 'probe', '')")
    return probe.info.backend_pid in waiting(url)


async def waits(url: str) -> list[int]:
    """The sessions whose commits wait, once there are any."""

    async def look() -> list[int]:
        return await asyncio.to_thread(waiting, url)

    return await eventually(look, bool, within=60)


async def held_up(url: str, call: "asyncio.Future[Any]") -> None:
    """Returns once the call waits for the standby; fails if it ends instead."""
    look = asyncio.ensure_future(waits(url))
    await asyncio.wait({look, call}, return_when=asyncio.FIRST_COMPLETED)
    look.cancel()
    await asyncio.wait({call}, timeout=SETTLED_SECONDS)
    assert not call.done(), "it ended though nothing was confirmed"


def cancel(url: str, sessions: Iterable[int]) -> None:
    """Cancels sessions' statements, as an operator may who thinks that they are stuck."""
    with psycopg.connect(url, autocommit=True) as connection:
        for session in sessions:
            connection.execute("SELECT pg_cancel_backend(%s)", [session])


def terminate(url: str, sessions: Iterable[int]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for session in sessions:
            connection.execute("SELECT pg_terminate_backend(%s)", [session])
