"""What callers may do now: remembered while that is safe, and looked up when it is not."""

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
    """Of which accounts the standing was read, in order."""
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


async def test_a_caller_is_looked_up_once(door: AccessFixture, lookups: list[UUID]) -> None:
    """The first call reads who it is, by a session or by a key; the others ask nothing of the database."""
    token, account, session = await door.enter("customer")
    of_key, till, key = await door.enter_by_key("service")
    for _ in range(3):
        assert await door.access_cache.caller_of(token) == Caller(account.id, ROLES["customer"], session.id)
        assert await door.access_cache.caller_of(of_key) == Caller(till.id, ROLES["service"], key.id)
    assert lookups == [account.id, till.id]


async def test_the_roles_of_now_count_and_not_those_of_the_token(door: AccessFixture) -> None:
    """A token that says "admin" of an account that is none makes none."""
    token, account, _ = await door.enter("admin")
    async with door.database.store(IDENTITY).transaction() as tx:
        await tx.accounts.revoke(account.id, "admin")
        await tx.accounts.grant(account.id, ["staff"], door.time)
    assert await door.permissions(token) == ROLES["staff"]


async def test_a_role_that_was_made_permits_what_it_holds_to_who_holds_it(door: AccessFixture) -> None:
    """Beside those that are built in; what nothing asks for any more, and a role that is no more, permit nothing."""
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
async def test_who_may_not_come_in_any_more_is_nobody_after_the_next_look(door: AccessFixture, change: Change) -> None:
    """Until that look, what is remembered counts; others go on throughout."""
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


async def test_only_who_has_changed_is_looked_up_again(door: AccessFixture, lookups: list[UUID]) -> None:
    """A change of one account costs one statement; a change that may be anybody's, one for each."""
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


async def test_a_look_misses_no_change_that_commits_late(door: AccessFixture) -> None:
    """One that was written before others, and commits behind them, is found by the look after its commit."""
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


async def test_more_changes_than_a_look_reads_are_everybodys(
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


async def test_what_is_remembered_is_not_trusted_without_a_look(door: AccessFixture, lookups: list[UUID]) -> None:
    """Where looks fail or come late, each call reads for itself, and finds what has changed."""
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


async def test_a_server_that_has_not_looked_yet_trusts_nothing(database: Database, lookups: list[UUID]) -> None:
    """Its first calls read for themselves."""
    door = AccessFixture(database)
    token, account, _ = await door.enter("customer")
    for _ in range(2):
        await door.permissions(token)
    assert lookups == [account.id] * 2


async def test_nobody_comes_in_while_nobody_can_be_looked_up(
    door: AccessFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's error rises, and no answer of before stands in for one."""
    token, _, _ = await door.enter("customer")
    await door.permissions(token)

    async def away(*_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(EffectiveAccessReader, "find", away)
    assert await door.permissions(token)
    door.elapsed.seconds += 1
    with pytest.raises(StoreUnavailable):
        await door.permissions(token)


async def test_what_was_being_read_while_it_changed_is_not_remembered(
    door: AccessFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call that read it goes by it; the next one reads anew, though the look came between."""
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
async def test_a_session_and_a_key_end_by_themselves(door: AccessFixture, by_key: bool) -> None:
    """At their last moment, though the token would last, and nothing is looked up for it."""
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


async def test_a_token_ends_though_its_session_goes_on(door: AccessFixture) -> None:
    """After fifteen minutes, and it is forgotten."""
    token, _, _ = await door.enter("customer")
    assert await door.permissions(token)
    door.time += timedelta(minutes=15)
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            await door.permissions(token)


async def test_a_token_of_nobody_lets_nobody_in(door: AccessFixture) -> None:
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


async def test_an_account_that_is_enabled_again_comes_in_again(door: AccessFixture) -> None:
    """That it could not is remembered too, and forgotten alike."""
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


async def test_the_memory_is_bounded(door: AccessFixture, monkeypatch: pytest.MonkeyPatch, lookups: list[UUID]) -> None:
    """Of tokens and of standings; what was forgotten is looked up again, and never taken for another's."""
    monkeypatch.setattr(access_cache, "_CACHE_SIZE", 3)
    entered = [await door.enter(role) for role in ("customer", "staff", "manager", "admin", "service")]
    for _ in range(2):
        for token, account, _ in entered:
            assert await door.permissions(token) == ROLES[account.roles[0]]
    assert len(lookups) == 10
    assert len(door.access_cache._verified) == 3
    assert sum(map(len, door.access_cache._cached.values())) == door.access_cache._count == 3


async def test_a_caller_is_told_when_what_it_may_do_changes(door: AccessFixture) -> None:
    """Not for another's change, nor for one that leaves it as it is; each that waits is told."""
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


async def test_a_change_before_one_waits_for_it_is_told_at_once(door: AccessFixture) -> None:
    """Between the look that found it and the waiting nothing is lost."""
    token, account, session = await door.enter("customer")
    caller = await door.access_cache.caller_of(token)
    async with door.database.store(IDENTITY).transaction() as tx:
        await tx.sessions.end(session.id, door.time)
        await tx.access_changes.add([account.id], door.time)
    await door.access_cache.poll()
    with pytest.raises(TokenInvalid):
        await asyncio.wait_for(door.access_cache.changed(caller), 60)


async def test_changes_are_forgotten_after_an_hour(door: AccessFixture) -> None:
    """Those that a server may still have to read stay."""
    async with door.database.store(IDENTITY).transaction() as tx:
        for age in (timedelta(hours=2), timedelta(minutes=61), timedelta(minutes=59)):
            await tx.access_changes.add([uuid4()], door.time - age)
        assert await tx.access_changes.purge(door.time - timedelta(hours=1), 10) == 2
        assert await tx.access_changes.purge(door.time - timedelta(hours=1), 10) == 0


async def test_a_database_that_was_set_back_has_everyone_looked_up_again(
    door: AccessFixture, lookups: list[UUID]
) -> None:
    """As one restored from a backup: its snapshots no longer cover what this server has seen."""
    token, account, _ = await door.enter("customer")
    await door.permissions(token)
    assert door.access_cache._end is not None
    door.access_cache._end = replace(door.access_cache._end, snapshot=str(Snapshot(1_000_000_000, 1_000_000_000)))
    await door.access_cache.poll()
    await door.permissions(token)
    await door.access_cache.poll()
    await door.permissions(token)
    assert lookups == [account.id] * 2


async def test_a_revoked_key_is_found_out_while_nothing_is_followed(door: AccessFixture) -> None:
    """Where the last look is too long ago, a token that was taken before is held against the keys of now."""
    token, _, _ = await door.enter("customer")
    await door.permissions(token)
    kid = (await door.tokens.verified(token)).kid
    rotation = KeyRotation(door.database.store(IDENTITY), MASTER_KEYS, door.now)
    await rotation.revoke(kid, ChangeContext(NOBODY, "test", door.now()))
    await asyncio.sleep(1)
    door.elapsed.seconds += TRUST_SECONDS + 0.01
    with pytest.raises(TokenInvalid):
        await door.permissions(token)
