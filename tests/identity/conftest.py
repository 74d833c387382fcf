import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import argon2
import pytest
from sqlalchemy import event

from storage.database import Database
from tests.fixtures import servers
from tests.fixtures.servers import Running
from tests.identity.people import Clock, running

_BY_ITSELF = (
    "identity.keys",
    "identity.access_changes",
    "pg_current_snapshot",
    "alembic_version",
    "frame.events",
    "flags.",
)
"""What a server reads without a call, every half second or so; no call of identity reads it."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def timed(database: Database, clock: Clock) -> AsyncIterator[Running]:
    """A server that uses `clock`."""
    async with running(database, clock) as server:
        yield server


@pytest.fixture
async def proxied(database: Database) -> AsyncIterator[Running]:
    """A server that trusts this machine as a proxy; its clock moves by a microsecond each time it is read.

    However slow the machine is, no wait before the next guess ever ends.
    """
    began, looks = datetime.now(UTC), itertools.count()

    def now() -> datetime:
        return began + timedelta(microseconds=next(looks))

    parts: dict[str, Any] = {"trusted_proxies": [ip_network("127.0.0.0/8")], "passwords": servers.quick_passwords()}
    async with servers.running(database, now=now, **parts) as opened:
        yield opened


@pytest.fixture
async def full_cost(database: Database) -> AsyncIterator[Running]:
    """A server that hashes passwords with the production parameters; it trusts a proxy on this machine."""
    async with servers.running(database, trusted_proxies=[ip_network("127.0.0.0/8")]) as opened:
        yield opened


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> "Counter[str]":
    """How often Argon2 was computed in this process, by purpose."""
    counts: Counter[str] = Counter()
    hash_, verify = argon2.PasswordHasher.hash, argon2.PasswordHasher.verify

    def hashing(self: argon2.PasswordHasher, password: str) -> str:
        counts["hash"] += 1
        return hash_(self, password)

    def verifying(self: argon2.PasswordHasher, known: str, password: str) -> bool:
        counts["verify"] += 1
        return verify(self, known, password)

    monkeypatch.setattr(argon2.PasswordHasher, "hash", hashing)
    monkeypatch.setattr(argon2.PasswordHasher, "verify", verifying)
    return counts


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """The statements that calls run in this process, without those of the server's own polling."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not any(name in statement for name in _BY_ITSELF):
            asked.append(statement)

    event.listen(database._pool._engine.sync_engine, "before_cursor_execute", note)
    yield asked
    event.remove(database._pool._engine.sync_engine, "before_cursor_execute", note)
