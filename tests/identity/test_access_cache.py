"""What callers may do now: cached while that is safe, and read when it is not."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from server.frame.caller import Caller
from server.frame.errors import TokenInvalid
from server.identity.credentials import access_cache
from server.identity.credentials.access_cache import TRUST_SECONDS
from server.identity.service import KeyRotation
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.frame.records import NOBODY, ChangeContext
from storage.identity.records import Account, Role, Session
from storage.identity.repository import EffectiveAccessReader
from storage.identity.store import IDENTITY
from storage.snapshots import Snapshot
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.roles import ROLES
from tests.identity.access_cache import AccessFixture
from tests.identity.people import person


@pytest.fixture
async def door(database: Database) -> AccessFixture:
    opened = AccessFixture(database)
    await opened.access_cache.poll()
    return opened


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The accounts whose access was read, in order."""
    found: list[UUID] = []
    find = EffectiveAccessReader.find

    async def counting(self: EffectiveAccessReader, account_id: UUID, issued_for: UUID) -> Any:
        found.append(account_id)
        return await find(self, account_id, issued_for)

    monkeypatch.setattr(EffectiveAccessReader, "find", counting)
    return found


async def told(database: Database, *account_ids: UUID) -> None:
    async with database.store(IDENTITY).transaction() as tx:
        await tx.access_changes.add(account_ids or None, datetime.now(UTC))


async def test_a_caller_is_read_once(door: AccessFixture, lookups: list[UUID]) -> None:
    """The first call reads its access, by a session or by a key; the others run no statement."""
    token, account, session = await door.enter("customer")
    of_key, till, key = await door.enter_by_key("service")
    for _ in range(3):
        assert await door.access_cache.caller_of(token) == Caller(account.id, ROLES["customer"], session.id)
        assert await door.access_cache.caller_of(of_key) == Caller(till.id, ROLES["service"], key.id)
    assert lookups == [account.id, till.id]


async def test_current_roles_count_and_not_those_of_the_token(door: AccessFixture) -> None:
    """A token that claims "admin" does not make its account an admin."""
    token, account, _ = await door.enter("admin")
    async with door.database.store(IDENTITY).transaction() as tx:
        await tx.accounts.revoke(account.id, "admin")
        await tx.accounts.grant(account.id, ["staff"], door.time)
    assert await door.permissions(token) == ROLES["staff"]


async def test_a_custom_role_grants_its_permissions_to_its_holders(door: AccessFixture) -> None:
    """Like the built-in ones; removed permissions and deleted roles grant nothing."""
    async with door.database.store(IDENTITY).transaction() as tx:
        assert await tx.roles.add(Role("auditor", "", ("audit.read", "gone.read"), 1, door.time, door.time))
        assert await tx.roles.add(Role("lister", "", ("users.list",), 1, door.time, door.time))
    auditor, _, _ = await door.enter("auditor", "customer", "wizard")
    lister, _, _ = await door.enter("lister")
    nobody, _, _ = await door.enter()
    assert await door.permissions(auditor) == ROLES["customer"] | {"audit.read"}
    assert await door.permissions(lister) == {"users.list"}
    assert await door.permissions(nobody) == frozenset()


Change = Callable[[Any, Account, Session], Awaitable[object]]
ENDS: list[Change] = [
    lambda tx, _, session: tx.sessions.end(session.id, datetime.now(UTC)),
    lambda tx, account, _: tx.sessions.end_all(account.id, datetime.now(UTC)),
    lambda tx, account, _: tx.accounts.set_disable_time(account.id, datetime.now(UTC)),
]


@pytest.mark.parametrize("change", ENDS)
async def test_a_revoked_caller_is_refused_after_the_next_poll(door: AccessFixture, change: Change) -> None:
    """Until that poll, the cache counts; other callers are not affected."""
    token, account, session = await door.enter("customer")
    other, _, _ = await door.enter("staff")
    before = await door.permissions(token), await door.permissions(other)
    async with door.database.store(IDENTITY).transaction() as tx:
        await change(tx, account, session)
        await tx.access_changes.add([account.id], door.time)
    assert (await door.permissions(token), await door.permissions(other)) == before
    await door.access_cache.poll()
    with pytest.raises(TokenInvalid):
        await door.permissions(token)
    assert await door.permissions(other) == ROLES["staff"]


async def test_only_changed_accounts_are_read_again(door: AccessFixture, lookups: list[UUID]) -> None:
    """A change of one account costs one statement; a change that may affect all, one for each."""
    one, account, _ = await door.enter("customer")
    two, other, _ = await door.enter("customer")
    for token in (one, two):
        await door.permissions(token)
    lookups.clear()
    for change in ([account.id], []):
        await told(door.database, *change)
        await door.access_cache.poll()
        for token in (one, two, one, two):
            await door.permissions(token)
    assert lookups == [account.id, account.id, other.id]


async def test_a_poll_misses_no_change_that_commits_late(door: AccessFixture) -> None:
    """One that was written before others but commits after them is found by the poll after its commit."""
    token, account, _ = await door.enter("admin")
    assert await door.permissions(token) == ROLES["admin"]
    async with door.database.store(IDENTITY).transaction() as tx:
        await tx.accounts.revoke(account.id, "admin")
        await tx.access_changes.add([account.id], door.time)
        for _ in range(3):
            await told(door.database, uuid4())
            await door.access_cache.poll()
        assert await door.permissions(token) == ROLES["admin"]
    await door.access_cache.poll()
    assert await door.permissions(token) == frozenset()


async def test_more_changes_than_a_poll_reads_count_for_everyone(
    door: AccessFixture, lookups: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many change at once, none is missed."""
    monkeypatch.setattr(access_cache, "_MAX_CHANGES", 2)
    token, account, _ = await door.enter("customer")
    await door.permissions(token)
    await told(door.database, *(uuid4() for _ in range(3)), account.id)
    await door.access_cache.poll()
    await door.permissions(token)
    assert lookups == [account.id] * 2


async def test_the_cache_is_not_trusted_without_a_recent_poll(door: AccessFixture, lookups: list[UUID]) -> None:
    """When polls fail or are late, each call reads for itself, and finds what has changed."""
    token, account, session = await door.enter("customer")
    await door.permissions(token)
    door.elapsed.seconds += TRUST_SECONDS
    await door.permissions(token)
    assert lookups == [account.id]
    assert TRUST_SECONDS < 1, "what is taken away is gone within a second"
    door.elapsed.seconds += 0.001
    for _ in range(2):
        await door.permissions(token)
    assert lookups == [account.id] * 3
    async with door.database.store(IDENTITY).transaction() as tx:
        await tx.sessions.end(session.id, door.time)
    with pytest.raises(TokenInvalid):
        await door.permissions(token)


async def test_a_server_that_has_not_polled_yet_trusts_nothing(database: Database, lookups: list[UUID]) -> None:
    """Its first calls read for themselves."""
    door = AccessFixture(database)
    token, account, _ = await door.enter("customer")
    for _ in range(2):
        await door.permissions(token)
    assert lookups == [account.id] * 2


async def test_no_caller_is_accepted_while_access_cannot_be_read(
    door: AccessFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's error is raised, and no earlier answer replaces it."""
    token, _, _ = await door.enter("customer")
    await door.permissions(token)

    async def away(*_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(EffectiveAccessReader, "find", away)
    assert await door.permissions(token)
    door.elapsed.seconds += 1
    with pytest.raises(StoreUnavailable):
        await door.permissions(token)


async def test_access_that_changes_while_it_is_read_is_not_cached(
    door: AccessFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call that read it uses it; the next one reads again, even if a poll came between."""
    token, account, _ = await door.enter("admin")
    read, go_on = asyncio.Event(), asyncio.Event()
    find = EffectiveAccessReader.find

    async def slow(self: EffectiveAccessReader, account_id: UUID, issued_for: UUID) -> Any:
        found = await find(self, account_id, issued_for)
        read.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(EffectiveAccessReader, "find", slow)
    first = asyncio.create_task(door.permissions(token))
    await read.wait()
    async with door.database.store(IDENTITY).transaction() as tx:
        await tx.accounts.revoke(account.id, "admin")
        await tx.access_changes.add([account.id], door.time)
    await door.access_cache.poll()
    go_on.set()
    assert await first == ROLES["admin"]
    assert await door.permissions(token) == frozenset()


@pytest.mark.parametrize("by_key", [False, True])
async def test_a_session_and_a_key_expire_without_a_change(door: AccessFixture, by_key: bool) -> None:
    """At their last moment, even if the token would last longer, and without a statement."""
    if by_key:
        token, _, _ = await door.enter_by_key("service", expire_time=door.time + timedelta(minutes=5))
    else:
        token, _, _ = await door.enter("customer", expire=timedelta(minutes=5))
    assert await door.permissions(token)
    door.time += timedelta(minutes=5) - timedelta(microseconds=1)
    assert await door.permissions(token)
    door.time += timedelta(microseconds=1)
    with pytest.raises(TokenInvalid):
        await door.permissions(token)


async def test_a_token_expires_although_its_session_continues(door: AccessFixture) -> None:
    """After fifteen minutes, and it is dropped from the cache."""
    token, _, _ = await door.enter("customer")
    assert await door.permissions(token)
    door.time += timedelta(minutes=15)
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            await door.permissions(token)


async def test_a_token_without_a_valid_account_session_or_key_is_refused(door: AccessFixture) -> None:
    """Of an account or a session that does not exist, of another's session, and of a key that has ended."""
    _, account, session = await door.enter("customer")
    _, other, _ = await door.enter("customer")
    _, till, key = await door.enter_by_key("service")
    for holder, issued_for in (
        (person(), session.id),
        (account, uuid4()),
        (other, session.id),
        (account, key.id),
        (till, session.id),
    ):
        token, _ = await door.tokens.issue(holder, issued_for)
        for _ in range(2):
            with pytest.raises(TokenInvalid):
                await door.permissions(token)


async def test_an_account_that_is_enabled_again_is_accepted_again(door: AccessFixture) -> None:
    """That it was disabled is cached too, and dropped likewise."""
    token, account, _ = await door.enter("customer")
    for time in (door.time, None):
        async with door.database.store(IDENTITY).transaction() as tx:
            await tx.accounts.set_disable_time(account.id, time)
            await tx.access_changes.add([account.id], door.time)
        await door.access_cache.poll()
        if time is not None:
            with pytest.raises(TokenInvalid):
                await door.permissions(token)
    assert await door.permissions(token) == ROLES["customer"]


async def test_the_cache_is_bounded(door: AccessFixture, monkeypatch: pytest.MonkeyPatch, lookups: list[UUID]) -> None:
    """Tokens and access; a dropped entry is read again, and never confused with another's."""
    monkeypatch.setattr(access_cache, "_CACHE_SIZE", 3)
    entered = [await door.enter(role) for role in ("customer", "staff", "manager", "admin", "service")]
    for _ in range(2):
        for token, account, _ in entered:
            assert await door.permissions(token) == ROLES[account.roles[0]]
    assert len(lookups) == 10
    assert len(door.access_cache._verified) == 3
    assert sum(map(len, door.access_cache._cached.values())) == door.access_cache._count == 3


async def test_a_waiting_caller_is_notified_when_its_access_changes(door: AccessFixture) -> None:
    """Not for another's change, nor for one without effect; each that waits is notified."""
    token, account, session = await door.enter("customer", "staff")
    caller = await door.access_cache.caller_of(token)
    waiting = [asyncio.create_task(door.access_cache.changed(caller)) for _ in range(3)]
    for change in ([uuid4()], [account.id], []):
        await told(door.database, *change)
        await door.access_cache.poll()
        done, _ = await asyncio.wait(waiting, timeout=0.05)
        assert not done
    async with door.database.store(IDENTITY).transaction() as tx:
        await tx.accounts.revoke(account.id, "staff")
        await tx.access_changes.add([account.id], door.time)
    await door.access_cache.poll()
    lowered = Caller(account.id, ROLES["customer"], session.id)
    assert await asyncio.wait_for(asyncio.gather(*waiting), 60) == [lowered] * 3
    assert not door.access_cache._waiting


async def test_a_change_before_the_wait_is_reported_at_once(door: AccessFixture) -> None:
    """Nothing is lost between the poll that found it and the wait."""
    token, account, session = await door.enter("customer")
    caller = await door.access_cache.caller_of(token)
    async with door.database.store(IDENTITY).transaction() as tx:
        await tx.sessions.end(session.id, door.time)
        await tx.access_changes.add([account.id], door.time)
    await door.access_cache.poll()
    with pytest.raises(TokenInvalid):
        await asyncio.wait_for(door.access_cache.changed(caller), 60)


async def test_access_changes_are_purged_after_an_hour(door: AccessFixture) -> None:
    """Those that a server may still have to read remain."""
    async with door.database.store(IDENTITY).transaction() as tx:
        for age in (timedelta(hours=2), timedelta(minutes=61), timedelta(minutes=59)):
            await tx.access_changes.add([uuid4()], door.time - age)
        assert await tx.access_changes.purge(door.time - timedelta(hours=1), 10) == 2
        assert await tx.access_changes.purge(door.time - timedelta(hours=1), 10) == 0


async def test_after_the_database_was_restored_every_account_is_read_again(
    door: AccessFixture, lookups: list[UUID]
) -> None:
    """Its snapshots no longer cover what this server has seen."""
    token, account, _ = await door.enter("customer")
    await door.permissions(token)
    assert door.access_cache._end is not None
    door.access_cache._end = replace(door.access_cache._end, snapshot=str(Snapshot(1_000_000_000, 1_000_000_000)))
    await door.access_cache.poll()
    await door.permissions(token)
    await door.access_cache.poll()
    await door.permissions(token)
    assert lookups == [account.id] * 2


async def test_a_revoked_key_is_noticed_while_changes_are_not_followed(door: AccessFixture) -> None:
    """If the last poll is too old, a token that was accepted before is checked against the current keys."""
    token, _, _ = await door.enter("customer")
    await door.permissions(token)
    kid = (await door.tokens.verified(token)).kid
    rotation = KeyRotation(door.database.store(IDENTITY), MASTER_KEYS, door.now)
    await rotation.revoke(kid, ChangeContext(NOBODY, "test", door.now()))
    await asyncio.sleep(1)
    door.elapsed.seconds += TRUST_SECONDS + 0.01
    with pytest.raises(TokenInvalid):
        await door.permissions(token)
