"""Tests' access cache, and the time within which every server must notice a change."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import uuid_utils.compat

from server.frame.addresses import LOCAL_ISSUER
from server.identity.credentials.access_cache import AccessCache
from server.identity.credentials.keys import KeyRing
from server.identity.credentials.tokens import AccessTokens
from storage.database import Database
from storage.identity.records import Account, ApiKey, Session
from storage.identity.store import IDENTITY
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.roles import BUILT_IN
from tests.identity.people import person, robot

LATER = timedelta(days=30)

WITHIN = 1.0
"""In seconds."""


async def within_a_second(ask: Callable[[], Awaitable[object]], expected: object) -> None:
    """Polls until the answer is the expected one; a call made one second from now must get it."""
    clock = asyncio.get_running_loop().time
    ends = clock() + WITHIN
    while True:
        late = clock() >= ends
        if (answer := await ask()) == expected:
            return
        assert not late, f"still {answer} after a second, not {expected}"
        await asyncio.sleep(0.02)


class Elapsing:
    """A monotonic clock that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class AccessFixture:
    """One server's access cache, and the accounts that call it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.time = datetime.now(UTC)
        self.elapsed = Elapsing()
        keys = KeyRing(database.store(IDENTITY), MASTER_KEYS, self.now)
        self.tokens = AccessTokens(keys, self.now, LOCAL_ISSUER)
        self.access_cache = AccessCache(database.store(IDENTITY), keys, self.tokens, BUILT_IN, self.now, self.elapsed)

    def now(self) -> datetime:
        return self.time

    async def enter(self, *roles: str, expire: timedelta = LATER) -> tuple[str, Account, Session]:
        """A person with these roles who has signed in: the access token, the account and the session."""
        account = person(None, *roles)
        session = Session(uuid_utils.compat.uuid7(), account.id, 0, self.time, self.time, self.time + expire, None)
        async with self.database.store(IDENTITY).transaction() as tx:
            assert await tx.accounts.add(account, password_hash="none")
            await tx.sessions.add(session)
        token, _ = await self.tokens.issue(account, session.id)
        return token, account, session

    async def enter_by_key(self, *roles: str, expire_time: datetime | None = None) -> tuple[str, Account, ApiKey]:
        account = robot(f"till-{uuid4().hex}", *roles)
        key = ApiKey(uuid4(), account.id, "brk_test", self.time, expire_time, None, None)
        async with self.database.store(IDENTITY).transaction() as tx:
            assert await tx.accounts.add(account)
            await tx.api_keys.add(key, uuid4().bytes)
        token, _ = await self.tokens.issue(account, key.id)
        return token, account, key

    async def permissions(self, token: str) -> frozenset[str]:
        return (await self.access_cache.caller_of(token)).permissions
