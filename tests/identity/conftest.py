from collections import Counter
from collections.abc import AsyncIterator

import argon2
import pytest

from storage.database import Database
from tests.fixtures.servers import Running
from tests.identity.people import Clock, running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def timed(database: Database, clock: Clock) -> AsyncIterator[Running]:
    """A server that goes by `clock`."""
    async with running(database, clock) as server:
        yield server


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> "Counter[str]":
    """How often Argon2 was worked out in this process, by what for."""
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
