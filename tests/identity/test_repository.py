"""What identity's store guarantees, against the real database."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from storage.database import Database
from storage.identity.records import Account, Role, Session
from storage.identity.store import IDENTITY
from tests.identity.people import person, robot
from tests.storage.waiting import waits

NOW = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
NOBODY = uuid4()


async def added(database: Database, *accounts: Account) -> None:
    async with database.store(IDENTITY).transaction() as tx:
        for account in accounts:
            assert await tx.accounts.add(account, password_hash=f"hash of {account.id}" if account.email else None)


async def with_session(database: Database, **changes: object) -> Session:
    """A stored session of a new account."""
    account = person()
    await added(database, account)
    session = Session(uuid4(), account.id, 0, NOW, NOW, NOW + timedelta(days=30), None)
    session = replace(session, **changes)  # type: ignore[arg-type] # the tests name fields of the record
    async with database.store(IDENTITY).transaction() as tx:
        await tx.sessions.add(session)
    return session


async def stored(database: Database, session_id: UUID) -> Session | None:
    async with database.store(IDENTITY).transaction() as tx:
        return await tx.sessions.lock(session_id)


async def test_an_account_is_read_as_it_was_added(database: Database) -> None:
    """Each query returns the same record, with its roles in order and its times to the microsecond."""
    ada = person("ada@example.com", "staff", "customer", create_time=NOW, verify_time=NOW, disable_time=NOW)
    till = robot("till", "service")
    await added(database, ada, till)
    async with database.store(IDENTITY).reading() as tx:
        assert await tx.accounts.find(ada.id) == ada
        assert await tx.accounts.find_by_email("ada@example.com") == (ada, f"hash of {ada.id}")
        assert await tx.accounts.find(till.id) == till
    assert ada.roles == ("customer", "staff")


async def test_a_missing_account_is_none(database: Database) -> None:
    """An unknown id, address or key finds nothing, and a service has no password."""
    till = robot("till")
    await added(database, till)
    async with database.store(IDENTITY).reading() as tx:
        assert await tx.accounts.find(NOBODY) is None
        assert await tx.accounts.find_by_email("nobody@example.com") is None
        assert await tx.api_keys.find_by_hash(b"no key") is None
        assert await tx.accounts.password_hash(NOBODY) is None
        assert await tx.accounts.password_hash(till.id) is None


async def test_an_account_without_roles_has_an_empty_tuple(database: Database) -> None:
    """An account without grants is still found."""
    ada = person("ada@example.com")
    await added(database, ada)
    async with database.store(IDENTITY).reading() as tx:
        found = await tx.accounts.find(ada.id)
    assert found is not None
    assert found.roles == ()


async def test_an_email_belongs_to_one_person(database: Database) -> None:
    """To the one who verified it: another with the same address is not added, and neither are its roles."""
    ada, other = person("ada@example.com", verify_time=NOW), person("ada@example.com", "admin")
    await added(database, ada)
    async with database.store(IDENTITY).transaction() as tx:
        assert not await tx.accounts.add(other, password_hash="other")
        assert await tx.accounts.find(other.id) is None
        assert await tx.accounts.lock_holders("admin") == []
        assert await tx.accounts.password_hash(ada.id) == f"hash of {ada.id}"


async def test_a_name_belongs_to_one_service_but_to_any_number_of_people(database: Database) -> None:
    """Services are identified by their names; people share names with each other and with services."""
    await added(database, robot("till"), person(None, name="till"), person(None, name="till"))
    async with database.store(IDENTITY).transaction() as tx:
        assert not await tx.accounts.add(robot("till"))


async def test_granting_twice_and_revoking_a_missing_grant_change_nothing(database: Database) -> None:
    """Neither is an error."""
    ada = person("ada@example.com", "customer")
    await added(database, ada)
    async with database.store(IDENTITY).transaction() as tx:
        await tx.accounts.grant(ada.id, ["staff", "customer"], NOW)
        await tx.accounts.grant(ada.id, ["staff"], NOW)
        await tx.accounts.grant(ada.id, [], NOW)
        await tx.accounts.revoke(ada.id, "admin")
        assert await tx.accounts.find(ada.id) == replace(ada, roles=("customer", "staff"))
        await tx.accounts.revoke(ada.id, "customer")
        await tx.accounts.revoke(ada.id, "customer")
        assert await tx.accounts.find(ada.id) == replace(ada, roles=("staff",))


async def test_the_holders_of_a_role_come_in_key_order(database: Database) -> None:
    """Services have roles as people do, and accounts without the role are left out."""
    holders = [person(None, "admin") for _ in range(3)] + [robot("till", "admin")]
    await added(database, *reversed(holders), person(None, "staff"))
    async with database.store(IDENTITY).transaction() as tx:
        assert await tx.accounts.lock_holders("admin") == sorted(holder.id for holder in holders)
        assert await tx.accounts.lock_holders("wizard") == []


async def test_the_holders_are_locked_until_the_transaction_ends(database: Database) -> None:
    """A second transaction that reads them waits, and then sees who is left."""
    ada, bob = person(None, "admin"), person(None, "admin")
    await added(database, ada, bob)

    async def ask() -> list[UUID]:
        async with database.store(IDENTITY).transaction() as tx:
            return await tx.accounts.lock_holders("admin")

    async with database.store(IDENTITY).transaction() as tx:
        await tx.accounts.lock_holders("admin")
        second = await waits(database, ask())
        await tx.accounts.revoke(ada.id, "admin")
    assert await second == [bob.id]


async def test_a_disabled_account_does_not_count_as_holder(database: Database) -> None:
    """It is not listed, even if it is disabled while the holders are being read."""
    ada, bob, eve = (person(None, "admin") for _ in range(3))
    await added(database, ada, bob, eve)

    async def ask() -> list[UUID]:
        async with database.store(IDENTITY).transaction() as tx:
            return await tx.accounts.lock_holders("admin")

    async with database.store(IDENTITY).transaction() as tx:
        await tx.accounts.set_disable_time(eve.id, NOW)
    async with database.store(IDENTITY).transaction() as tx:
        assert await tx.accounts.lock_holders("admin") == sorted([ada.id, bob.id])
        second = await waits(database, ask())
        await tx.accounts.set_disable_time(ada.id, NOW)
    assert await second == [bob.id]


async def test_a_locked_account_is_read_after_the_lock(database: Database) -> None:
    """After waiting for another change of its roles, the reader sees that change; an unknown account is None."""
    ada = person(None, "customer", "staff")
    await added(database, ada)

    async def ask() -> Account | None:
        async with database.store(IDENTITY).transaction() as tx:
            return await tx.accounts.lock(ada.id)

    async with database.store(IDENTITY).transaction() as tx:
        assert await tx.accounts.lock(NOBODY) is None
        assert await tx.accounts.lock(ada.id) == ada
        second = await waits(database, ask())
        await tx.accounts.revoke(ada.id, "staff")
        await tx.accounts.set_disable_time(ada.id, NOW)
    assert await second == replace(ada, roles=("customer",), disable_time=NOW)


async def test_a_disabled_account_has_no_password_to_sign_in_with(database: Database) -> None:
    """Its hash is kept, and works again once it is enabled."""
    ada = person("ada@example.com")
    await added(database, ada)
    for time, expected in ((NOW, None), (None, f"hash of {ada.id}")):
        async with database.store(IDENTITY).transaction() as tx:
            await tx.accounts.set_disable_time(ada.id, time)
            assert await tx.accounts.lock_password_hash(ada.id) == expected


async def test_services_are_listed_oldest_first(database: Database) -> None:
    """Each exactly once, page by page, and no person among them."""
    tills = [robot(f"till-{index}") for index in range(3)]
    await added(database, *tills, person())
    seen: list[Account] = []
    async with database.store(IDENTITY).reading() as tx:
        while page := await tx.accounts.list_services(
            after=(seen[-1].create_time, seen[-1].id) if seen else None, limit=2
        ):
            seen += page
    assert seen == sorted(tills, key=lambda each: (each.create_time, each.id))


async def test_a_password_is_replaced_only_if_it_has_not_changed_meanwhile(database: Database) -> None:
    """The stored hash must be the one that was read."""
    ada = person("ada@example.com")
    await added(database, ada)
    known = f"hash of {ada.id}"
    async with database.store(IDENTITY).transaction() as tx:
        assert await tx.accounts.renew_password_hash(ada.id, "new", instead_of=known)
        assert not await tx.accounts.renew_password_hash(ada.id, "newer", instead_of=known)
        assert not await tx.accounts.renew_password_hash(NOBODY, "newer", instead_of=known)
        assert await tx.accounts.password_hash(ada.id) == "new"


async def test_people_are_listed_oldest_first(database: Database) -> None:
    """Those of one moment in the order of their ids, and no services."""
    people = [person(None, create_time=NOW + timedelta(seconds=age)) for age in (2, 0, 1, 1)]
    await added(database, *people, robot("till"))
    async with database.store(IDENTITY).reading() as tx:
        found = await tx.accounts.list_people(role=None, after=None, limit=10)
    assert found == sorted(people, key=lambda each: (each.create_time, each.id))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
async def test_pages_of_people_see_each_exactly_once(database: Database, size: int) -> None:
    """A page begins after its key, even in the middle of those of one moment."""
    people = [person(None, create_time=NOW + timedelta(microseconds=index // 3)) for index in range(5)]
    await added(database, *people)
    seen: list[Account] = []
    async with database.store(IDENTITY).reading() as tx:
        while page := await tx.accounts.list_people(
            role=None, after=(seen[-1].create_time, seen[-1].id) if seen else None, limit=size
        ):
            assert len(page) <= size
            seen += page
    assert Counter(each.id for each in seen) == Counter(each.id for each in people)
    assert seen == sorted(people, key=lambda each: (each.create_time, each.id))


async def test_people_are_listed_by_role(database: Database) -> None:
    """Only accounts with the role are found, each with all of its roles."""
    ada, bob, eve = person(None, "admin", "staff"), person(None, "staff"), person(None, "customer")
    await added(database, ada, bob, eve)
    async with database.store(IDENTITY).reading() as tx:
        assert await tx.accounts.list_people(role="staff", after=None, limit=9) == [ada, bob]
        assert await tx.accounts.list_people(role="admin", after=None, limit=9) == [ada]
        assert await tx.accounts.list_people(role="wizard", after=None, limit=9) == []


async def test_a_session_is_read_as_it_was_added_and_refreshed(database: Database) -> None:
    """Locking returns all of it, or None if there is none."""
    session = await with_session(database)
    assert await stored(database, session.id) == session
    assert await stored(database, uuid4()) is None
    later = NOW + timedelta(minutes=5)
    async with database.store(IDENTITY).transaction() as tx:
        await tx.sessions.refresh(session.id, 1, later)
    assert await stored(database, session.id) == replace(session, generation=1, refresh_time=later)


async def test_a_session_ends_once(database: Database) -> None:
    """A second end, and an end of all, keep the time of the first, and report that they ended nothing."""
    session = await with_session(database)
    async with database.store(IDENTITY).transaction() as tx:
        assert await tx.sessions.end(session.id, NOW) == session.account_id
        assert await tx.sessions.end(session.id, NOW + timedelta(hours=1)) is None
        assert await tx.sessions.end_all(session.account_id, NOW + timedelta(hours=2)) == 0
        assert await tx.sessions.end(uuid4(), NOW) is None
    assert await stored(database, session.id) == replace(session, end_time=NOW)


async def test_all_sessions_but_one_end(database: Database) -> None:
    """Expired ones are not counted."""
    kept = await with_session(database)
    others = [replace(kept, id=uuid4()), replace(kept, id=uuid4(), expire_time=NOW)]
    async with database.store(IDENTITY).transaction() as tx:
        for each in others:
            await tx.sessions.add(each)
        assert await tx.sessions.end_all(kept.account_id, NOW, but=kept.id) == 1
    assert await stored(database, kept.id) == kept
    assert [await stored(database, each.id) for each in others] == [replace(each, end_time=NOW) for each in others]


async def test_live_sessions_are_listed_latest_first(database: Database) -> None:
    """Without ended or expired ones, and without those of others."""
    first = await with_session(database)
    await with_session(database)
    begun = [replace(first, id=uuid4(), create_time=NOW + timedelta(seconds=age)) for age in (1, 1, 2)]
    over = [replace(first, id=uuid4(), end_time=NOW), replace(first, id=uuid4(), expire_time=NOW)]
    seen: list[Session] = []
    async with database.store(IDENTITY).transaction() as tx:
        for each in (*begun, *over):
            await tx.sessions.add(each)
        while page := await tx.sessions.list_live(
            first.account_id, NOW, before=(seen[-1].create_time, seen[-1].id) if seen else None, limit=2
        ):
            seen += page
    assert seen == sorted([first, *begun], key=lambda each: (each.create_time, each.id), reverse=True)


async def test_all_sessions_of_one_account_end_and_no_others(database: Database) -> None:
    """The sessions of others continue."""
    mine, others = await with_session(database), await with_session(database)
    second = replace(mine, id=uuid4())
    async with database.store(IDENTITY).transaction() as tx:
        await tx.sessions.add(second)
        await tx.sessions.end_all(mine.account_id, NOW)
    ended = [await stored(database, each.id) for each in (mine, second, others)]
    assert ended == [replace(mine, end_time=NOW), replace(second, end_time=NOW), others]


async def test_a_role_is_stored_as_it_was_created_and_edited(database: Database) -> None:
    """Its name is unique; each edit increments its version; once deleted, it is gone."""
    role = Role("buyer", "Buys.", ("orders.place", "orders.read"), 1, NOW, NOW)
    later = NOW + timedelta(hours=1)
    async with database.store(IDENTITY).transaction() as tx:
        assert await tx.roles.add(role)
        assert not await tx.roles.add(replace(role, permissions=()))
        assert await tx.roles.find("buyer") == await tx.roles.lock("buyer") == role
        await tx.roles.edit("buyer", "", (), later)
        edited = replace(role, description="", permissions=(), version=2, update_time=later)
        assert list(await tx.roles.lock_shared(["buyer", "wizard"])) == [edited]
        await tx.roles.delete("buyer")
        assert await tx.roles.find("buyer") is None
        assert not await tx.roles.lock_shared(["buyer"])
        assert not await tx.roles.lock_shared([])


async def test_custom_roles_are_listed_by_name(database: Database) -> None:
    """Page by page, from a name on."""
    async with database.store(IDENTITY).transaction() as tx:
        for name in ("c", "a", "b"):
            assert await tx.roles.add(Role(name, "", (), 1, NOW, NOW))
        assert [role.name for role in await tx.roles.list_by_name(after=None, limit=2)] == ["a", "b"]
        assert [role.name for role in await tx.roles.list_by_name(after="b", limit=2)] == ["c"]


async def test_a_role_that_is_being_granted_cannot_be_deleted_meanwhile(database: Database) -> None:
    """The deletion waits, and then sees who has the role."""
    ada = person()
    await added(database, ada)
    async with database.store(IDENTITY).transaction() as tx:
        assert await tx.roles.add(Role("buyer", "", (), 1, NOW, NOW))

    async def ask() -> bool:
        async with database.store(IDENTITY).transaction() as tx:
            await tx.roles.lock("buyer")
            return await tx.roles.is_granted("buyer")

    async with database.store(IDENTITY).transaction() as tx:
        assert await tx.roles.lock_shared(["buyer"])
        second = await waits(database, ask())
        await tx.accounts.grant(ada.id, ["buyer"], NOW)
    assert await second
    async with database.store(IDENTITY).transaction() as tx:
        await tx.roles.revoke_from_all("buyer")
        assert not await tx.roles.is_granted("buyer")
