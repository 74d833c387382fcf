"""What an operator reads when the standby replaces the primary, or connections end: a few plain lines."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from storage.database import Database
from tests.faults.load import Book, crowd, goods, until
from tests.faults.replication import DATABASE, pair
from tests.faults.test_log_while_away import Process, served
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.servers import Api, sign_in

MAX_LINES = 6
"""Above INFO, of one server and one fault."""
SETTLED_SECONDS = 6.0
"""After orders succeed again: longer than the worker needs to resume, and than the first intervals of an outage."""
AGAIN_WITHIN_SECONDS = 90.0


@asynccontextmanager
async def _ordering(server: Process, database_url: str, book: Book) -> AsyncIterator[None]:
    """Callers place orders continuously."""
    (line,) = server.of("serving")
    database = Database(database_url, audit_key=MASTER_KEYS.audit_key, pool_size=2)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{line['grpc_port']}") as channel:
        api: Api = await sign_in(application_of(database, QUIET), channel, ["service"])
        await goods(api)
        async with crowd(api, book, callers=4):
            yield
    await database.close()


async def _lines_after(server: Process, book: Book, begin: int) -> list[dict[str, object]]:
    """The lines above INFO since then, once orders succeed again and the worker has settled."""
    taken = len(book.ok)
    await until(lambda: len(book.ok) > taken + 20, within=AGAIN_WITHIN_SECONDS)
    await asyncio.sleep(SETTLED_SECONDS)
    return [line for line in server.log[begin:] if line["level"] not in ("info", "debug")]


def _assert_few_and_ours(server: Process, lines: list[dict[str, object]]) -> None:
    told = Counter(str(line["event"]) for line in lines)
    assert sum(told.values()) <= MAX_LINES, lines
    assert "library_message" not in told, lines
    assert server.other == []
    assert all(len(str(line)) < 700 for line in lines)


@pytest.mark.long
async def test_a_promotion_is_logged_in_a_few_lines(migrated_primary: Path) -> None:
    """The primary is killed, its standby promoted, and callers continue; then all connections are ended, twice."""
    book = Book()
    with pair(migrated_primary) as found:
        await asyncio.to_thread(found.replicate)
        url = found.url(DATABASE)
        async with await served(url) as server:
            await server.until("serving")
            async with _ordering(server, url, book):
                await until(lambda: len(book.ok) > 20, within=AGAIN_WITHIN_SECONDS)
                begin = len(server.log)
                await asyncio.to_thread(found.primary.crash)
                await asyncio.sleep(3)  # an operator must decide it
                await asyncio.to_thread(found.standby.promote)
                promoted = await _lines_after(server, book, begin)
                begin = len(server.log)
                for _ in range(2):
                    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'backroom'"
                    await asyncio.to_thread(found.standby.ask, ended)
                    await asyncio.sleep(1)
                terminated = await _lines_after(server, book, begin)
    assert promoted, "an operator must read of it"
    _assert_few_and_ours(server, promoted)
    _assert_few_and_ours(server, terminated)
