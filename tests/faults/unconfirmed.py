"""A synchronous standby that does not exist, so that no commit is confirmed: one server is enough for that."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from tests.faults.replication import synchronous, waiting
from tests.fixtures.trading import eventually

SETTLED_SECONDS = 0.7
"""Longer than a call takes that does not wait."""


@asynccontextmanager
async def unconfirmed(url: str) -> AsyncIterator[None]:
    """Commits on this server wait until the block ends."""
    await asyncio.to_thread(synchronous, url, "absent")
    try:
        yield
    finally:
        await asyncio.to_thread(synchronous, url, "")


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
