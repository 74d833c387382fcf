"""What the repositories of flags promise: of absence, of duplicates, of order, of locks, and of the way back."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text

from storage.database import Database
from storage.flags.records import (
    CHANNEL,
    Configuration,
    Flag,
    FlagChange,
    FlagSet,
    FlagState,
    FlagVersion,
    Prerequisite,
    Proposal,
    ProposalState,
    Schedule,
    ScheduleState,
    Served,
    UsagePeriod,
)
from storage.flags.store import FLAGS
from tests.flags.keeping import add, changing
from tests.flags.values import LATER, NOW, WHO, flag, segment

MINUTE, DAY = UsagePeriod.MINUTE, UsagePeriod.DAY


async def since(database: Database, version: int) -> Configuration:
    async with database.store(FLAGS).snapshot_reading() as tx:
        return await tx.configuration.since(version)


def whole(key: str = "f") -> Flag:
    """A flag with all that one can have."""
    return flag(
        key,
        {"a": {"x": [1, 1.0, None, 'ü\\"']}, "b": {}},
        "a",
        {"if": [{"var": "x"}, {"fractional": [["a", 10], ["b", 90]]}, None]},
        metadata={"n": 1, "f": 0.5, "t": "x", "b": True},
        prerequisites=(Prerequisite("base", ("on", "off")),),
        state=FlagState.DISABLED,
        description="ä\n" * 900,
        owner="ada",
        ticket="T-1",
        expire_time=LATER,
    )


def version_of(one: Flag, configuration_version: int, change: FlagChange = FlagChange.UPDATED) -> FlagVersion:
    return FlagVersion(one, change, "why", WHO, None, configuration_version)


async def test_a_flag_comes_back_as_it_was_stored(database: Database) -> None:
    """To the microsecond, and to whether a number was a whole one."""
    given = whole()
    await add(database, given)
    async with database.store(FLAGS).reading() as tx:
        found = await tx.flags.find("", "f")
        assert found == given
        assert found is not None
        assert [type(each) for each in found.variants["a"]["x"]] == [int, float, type(None), str]
        assert await tx.flags.of_set("") == {"f": given}


async def test_what_is_not_there_is_none(database: Database) -> None:
    """Neither finding nor locking raises; before the first change, the configuration is at 0, and empty."""
    assert await since(database, 0) == Configuration(0, [], [], [])
    async with database.store(FLAGS).transaction() as tx:
        assert await tx.flags.find("", "f") is None
        assert await tx.flags.of_set("") == {}
        assert await tx.flags.find_version(flag("f"), 1) is None
        assert await tx.flags.list_versions(uuid4(), before=None, limit=5) == []
        assert await tx.segments.find("", "s") is None
        assert await tx.configuration.find_set("") is None
        assert await tx.proposals.lock(uuid4()) is None
        assert await tx.schedules.lock(uuid4()) is None
        assert await tx.schedules.lock_due(NOW) is None
        assert await tx.usage.of_flags("", ["f"], NOW) == {}


async def test_a_flag_whose_key_is_taken_is_not_added(database: Database) -> None:
    """By an archived one, too; the same key in another set is free."""
    first, free = flag("f", archived=True), flag("g")
    await add(database, first)
    async with changing(database) as (tx, version):
        assert await tx.flags.add([flag("f"), free], version) == {free.id}
        assert await tx.flags.add([], version) == set()
        assert await tx.configuration.make_set("shop", version, NOW)
        assert not await tx.configuration.make_set("shop", version, NOW)
        elsewhere = flag("f", flag_set_id="shop")
        assert await tx.flags.add([elsewhere], version) == {elsewhere.id}
        assert (await tx.flags.count(""), await tx.flags.count("shop")) == (2, 1)
    async with database.store(FLAGS).reading() as tx:
        assert await tx.flags.find("", "f") == first
        assert await tx.flags.find("shop", "f") == elsewhere


async def listed(database: Database, **how: Any) -> Sequence[str]:
    asking = {"after": None, "limit": 100, "archived": False, "size": 2**20, **how}
    async with database.store(FLAGS).reading() as tx:
        return [each.key for each in await tx.flags.list_by_key("", **asking)]


async def test_flags_are_listed_by_key(database: Database) -> None:
    """In the order of their characters, by pieces, by how they begin, and as far as they are not too large."""
    await add(database, *(flag(key) for key in ("b", "B", "a_1", "a%1", "ä")), flag("gone", archived=True))
    assert await listed(database) == ["B", "a%1", "a_1", "b", "ä"]
    assert await listed(database, archived=True) == ["B", "a%1", "a_1", "b", "gone", "ä"]
    assert await listed(database, after="a%1", limit=2) == ["a_1", "b"]
    assert await listed(database, prefix="a_") == ["a_1"]
    assert await listed(database, prefix="a%") == ["a%1"]
    assert await listed(database, size=1) == ["B"]


async def test_every_version_is_add(database: Database) -> None:
    """Latest first, each whole, with by whom and why."""
    first = whole()
    at = await add(database, first)
    second = replace(first, default_variant="b", version=2, update_time=LATER, expire_time=None)
    async with changing(database) as (tx, later):
        await tx.flags.change([second], later)
        versions = [version_of(first, at, FlagChange.CREATED), version_of(second, later)]
        versions[1] = replace(versions[1], approved_by=UUID(int=8))
        await tx.flags.add_versions(versions)
    async with database.store(FLAGS).reading() as tx:
        assert await tx.flags.find("", "f") == second
        assert await tx.flags.list_versions(first.id, before=None, limit=5) == versions[::-1]
        assert await tx.flags.list_versions(first.id, before=2, limit=5) == versions[:1]
        assert await tx.flags.find_version(second, 1) == versions[0]


async def test_a_segment_comes_back_as_it_was_stored(database: Database) -> None:
    """Deleted ones, too, but not in the list; its versions are kept."""
    rules: Sequence[Any] = [{"in": [{"var": "x"}, [1, 1.5, "ü", None]]}, "text", True, 5, [1]]
    given = [segment(f"s{number}", rule) for number, rule in enumerate(rules)]
    ended = replace(given[1], archived=True, version=2)
    async with changing(database) as (tx, version):
        assert await tx.segments.add(given, version) == {each.id for each in given}
        assert await tx.segments.add([segment("s0", 1)], version) == set()
        await tx.segments.change([ended], version)
        await tx.segments.add_versions([given[1], ended], version, "why", WHO, None)
    async with database.store(FLAGS).reading() as tx:
        assert await tx.segments.of_set("") == {each.name: each for each in [given[0], ended, *given[2:]]}
        assert await tx.segments.list_by_name("", after="s0", limit=2) == given[2:4]
        assert await tx.segments.find("", "s1") == ended
        assert await tx.segments.count("") == 5
        kept_versions = await tx._connection.execute(text("SELECT version, archived FROM flags.segment_versions"))
        assert {(row.version, row.archived) for row in kept_versions} == {(1, False), (2, True)}


async def test_a_set_is_stored_new_or_not(database: Database) -> None:
    """And listed by its id."""
    async with changing(database) as (tx, version):
        await tx.configuration.put_set(FlagSet("b", {"x": 1}, "", 1, NOW, NOW), version)
        await tx.configuration.put_set(FlagSet("b", {"x": 2}, "two", 2, LATER, LATER), version)
        assert await tx.configuration.find_set("b") == FlagSet("b", {"x": 2}, "two", 2, NOW, LATER)
        assert [each.id for each in await tx.configuration.list_sets(after=None, limit=5)] == ["", "b"]
        assert [each.id for each in await tx.configuration.list_sets(after="", limit=5)] == ["b"]
        assert await tx.configuration.count_sets() == 2


async def test_what_changed_since_a_version_is_read(database: Database) -> None:
    """Archived flags and segments among it, so that a snapshot can forget them."""
    first = await add(database, flag("f"), flag("g"))
    gone = flag("h", archived=True)
    second = await add(database, gone)
    assert second > first
    found = await since(database, first)
    assert (found.version, found.flags, found.segments, found.flag_sets) == (second, [gone], [], [])
    assert {each.key for each in (await since(database, 0)).flags} == {"f", "g", "h"}
    assert await since(database, second) == Configuration(second, [], [], [])


async def test_the_version_never_goes_back(database: Database) -> None:
    """Not where the database was restored from an older copy; nor where the clock goes back."""
    versions = [await add(database) for _ in range(3)]
    assert versions == sorted(set(versions))
    async with database.store(FLAGS).transaction() as tx:
        await tx._connection.execute(text("UPDATE flags.configuration SET version = 1"))
    restored = await add(database)
    assert restored > versions[-1]
    ahead = restored + 10**15
    async with database.store(FLAGS).transaction() as tx:
        await tx._connection.execute(text(f"UPDATE flags.configuration SET version = {ahead}"))
    assert await add(database) == ahead + 1


async def test_versions_commit_in_their_order(database: Database) -> None:
    """Of many changes at once, no reader sees a version before a lower one's flags."""
    seen: list[tuple[int, int]] = []
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            found = await since(database, 0)
            seen.append((found.version, len(found.flags)))

    async def change(number: int) -> int:
        return await add(database, flag(f"f{number}"))

    reading = asyncio.create_task(read())
    versions = await asyncio.gather(*(change(number) for number in range(20)))
    done.set()
    await reading
    place = {version: count for count, version in enumerate(sorted(versions), 1)}
    assert len(place) == 20
    assert [count for version, count in seen if version] == [place[version] for version, _ in seen if version]


async def test_a_change_is_told_as_it_commits(database: Database, database_url: str) -> None:
    """With its configuration version; a rolled back transaction notifies nobody."""
    listening = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    async with listening:
        await listening.execute(f"LISTEN {CHANNEL}".encode())
        with pytest.raises(ZeroDivisionError):
            async with changing(database):
                raise ZeroDivisionError
        version = await add(database, flag("f"))
        told = [each.payload async for each in listening.notifies(timeout=5, stop_after=1)]
    assert told == [str(version)]


def proposal(**other: Any) -> Proposal:
    given = Proposal(
        uuid4(), "", "UpdateFlag", "flag//f", 3, {"key": "f"}, "why", ProposalState.PENDING, WHO, None, "", NOW, None
    )
    return replace(given, **other)


async def test_a_proposal_is_decided_by_somebody_else(database: Database) -> None:
    """The database itself refuses one that approves its own."""
    given = proposal()
    decided = replace(
        given, state=ProposalState.APPROVED, decided_by=UUID(int=8), decision_comment="good", decide_time=LATER
    )
    async with database.store(FLAGS).transaction() as tx:
        await tx.proposals.add(given)
        assert await tx.proposals.find(given.id) == given
        assert await tx.proposals.lock(given.id) == given
        await tx.proposals.decide(decided)
        assert await tx.proposals.find(given.id) == decided
    with pytest.raises(Exception, match="two_pairs_of_eyes"):
        async with database.store(FLAGS).transaction() as tx:
            await tx.proposals.decide(replace(decided, decided_by=WHO))


async def test_proposals_are_listed_latest_first(database: Database) -> None:
    """By state where asked, and by pieces."""
    given = [proposal(create_time=NOW + timedelta(seconds=number)) for number in range(4)]
    given[1] = replace(given[1], state=ProposalState.WITHDRAWN, decide_time=LATER)
    async with database.store(FLAGS).transaction() as tx:
        for each in given:
            await tx.proposals.add(each)
        assert await tx.proposals.list_latest(state=None, before=None, limit=9) == given[::-1]
        pending = await tx.proposals.list_latest(state=ProposalState.PENDING, before=None, limit=2)
        assert pending == [given[3], given[2]]
        key = (pending[-1].create_time, pending[-1].id)
        assert await tx.proposals.list_latest(state=ProposalState.PENDING, before=key, limit=2) == [given[0]]


def schedule(**other: Any) -> Schedule:
    steps = [{"time": NOW.isoformat(), "shares": {"on": 5}}, {"time": LATER.isoformat(), "shares": {"on": 25}}]
    given = Schedule(uuid4(), "", "f", steps, (), NOW, ScheduleState.ACTIVE, "", "why", WHO, NOW, NOW)
    return replace(given, **other)


async def test_the_step_that_is_due_is_taken_by_one_server(database: Database) -> None:
    """The one that waits for the longest time; not one that is paused, to come, or in another's hands."""
    late, later = schedule(next_time=NOW - timedelta(seconds=2)), schedule(next_time=NOW - timedelta(seconds=1))
    others = [schedule(next_time=LATER), schedule(state=ScheduleState.PAUSED)]
    store = database.store(FLAGS)
    async with store.transaction() as tx:
        for each in (later, *others, late):
            await tx.schedules.add(each)
    async with store.transaction() as one, store.transaction() as other:
        assert await one.schedules.lock_due(NOW) == late
        assert await other.schedules.lock_due(NOW) == later
        taken = replace(late, take_times=(NOW, LATER), next_time=None, state=ScheduleState.DONE, update_time=LATER)
        await one.schedules.change(taken)
    async with store.transaction() as tx:
        assert await tx.schedules.find(late.id) == taken
        assert await tx.schedules.lock_due(NOW) == later


async def test_schedules_are_listed_latest_first(database: Database) -> None:
    """Of a set, of a flag, or in a state."""
    given = [schedule(create_time=NOW + timedelta(seconds=number)) for number in range(3)]
    other = schedule(flag_key="g", state=ScheduleState.PAUSED, create_time=LATER)
    async with database.store(FLAGS).transaction() as tx:
        for each in (*given, other, schedule(flag_set_id="shop")):
            await tx.schedules.add(each)
        assert await tx.schedules.list_latest("", before=None, limit=9) == [other, *given[::-1]]
        assert await tx.schedules.list_latest("", flag_key="f", before=None, limit=2) == [given[2], given[1]]
        key = (given[1].create_time, given[1].id)
        assert await tx.schedules.list_latest("", flag_key="f", before=key, limit=2) == [given[0]]
        assert await tx.schedules.list_latest("", state=ScheduleState.PAUSED, before=None, limit=2) == [other]


def served(count: int, variant: str = "on", minutes: int = 0, key: str = "f") -> Served:
    return Served("", key, variant, NOW + timedelta(minutes=minutes), count)


async def test_counts_add_up(database: Database) -> None:
    """By period, flag, variant and start; many servers at once count as one after the other."""

    async def count() -> None:
        async with database.store(FLAGS).transaction() as tx:
            await tx.usage.count(MINUTE, [served(1), served(2, "off"), served(3, minutes=1), served(9, key="g")])
            await tx.usage.count(DAY, [served(5)])
            await tx.usage.count(DAY, [])

    await asyncio.gather(*(count() for _ in range(8)))
    async with database.store(FLAGS).reading() as tx:
        found = await tx.usage.of_flag(MINUTE, "", "f", NOW, NOW + timedelta(minutes=2))
        assert found == [served(16, "off"), served(8), served(24, minutes=1)]
        assert await tx.usage.of_flag(MINUTE, "", "f", NOW, NOW + timedelta(minutes=1)) == found[:2]
        assert await tx.usage.of_flag(DAY, "", "f", NOW, LATER) == [served(40)]


async def test_the_days_tell_who_is_stale(database: Database) -> None:
    """The last day of all, and the variants of those since a time; old counts are purged."""
    days = [NOW, NOW + timedelta(days=1), NOW + timedelta(days=2)]
    async with database.store(FLAGS).transaction() as tx:
        given = [Served("", "f", variant, day, 1) for day, variant in zip(days, ("off", "on", "on"), strict=True)]
        await tx.usage.count(DAY, [*given, Served("", "g", "", days[0], 1)])
        found = await tx.usage.of_flags("", ["f", "g", "h"], days[1])
        assert {key: (each.last_day, each.variants) for key, each in found.items()} == {
            "f": (days[2], ("on",)),
            "g": (days[0], ()),
        }
        assert await tx.usage.purge(DAY, days[1], 10) == 2
        assert await tx.usage.of_flag(DAY, "", "f", NOW, LATER + timedelta(days=9)) == given[1:]


async def test_a_flag_needs_its_set(database: Database) -> None:
    """So that each set is in the list of sets."""
    with pytest.raises(Exception, match="fk_flags_flag_set_id"):
        async with changing(database) as (tx, version):
            await tx.flags.add([flag("f", flag_set_id="no")], version)
