"""How the record is sealed into a chain, and where its end is anchored."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from server.identity.jobs import audit_tasks
from server.identity.rules.auditing import ANCHORED, BEGINNING, FaultKind, sealed
from server.identity.service import auditing as service
from server.identity.service.anchoring import AnchorFile, AnchorsMalformed
from storage.database import Database
from storage.errors import AlreadyExists
from storage.frame.records import AuditAnchor
from storage.store import FRAME
from tests.fixtures.keys import MASTER_KEYS
from tests.frame.test_repository import turned_back
from tests.identity.records import BEGAN, auditing_on, entry, events, execute, head, recorded, verified


async def places(database: Database) -> list[tuple[int, str]]:
    """The chain: each place, and the resource of its event."""
    async with database.store(FRAME).reading() as tx:
        links = await tx.audit_chain.read(after=0, limit=10_000)
    return [(link.seal.position, link.event.entry.resource if link.event else "") for link in links]


async def test_events_are_sealed_in_the_order_of_their_transactions(database: Database) -> None:
    """Within one transaction, in the order in which they were written; each place is one."""
    await recorded(database, entry(1), entry(2))
    await recorded(database, entry(3))
    assert await auditing_on(database).seal() == 3
    assert await auditing_on(database).seal() == 0
    await recorded(database, entry(4))
    assert await auditing_on(database).seal() == 1
    assert await places(database) == [(1, "thing/1"), (2, "thing/2"), (3, "thing/3"), (4, "thing/4")]
    assert [event.position for event in await events(database)] == [1, 2, 3, 4]
    found = await verified(database)
    assert (found.verified, found.complete, found.fault) == (4, True, None)
    assert found.last == await head(database)


async def test_a_late_commit_is_sealed_late_and_never_skipped(database: Database) -> None:
    """A transaction that started first delays the sealing of all later ones, until it has ended."""
    async with database.store(FRAME).transaction() as late:
        await late.audit.record([entry(1)])
        await recorded(database, entry(2))
        assert await auditing_on(database).seal() == 0
        found = await verified(database)
        assert (found.verified, found.complete, found.fault) == (0, True, None)
    assert await auditing_on(database).seal() == 2
    assert await places(database) == [(1, "thing/1"), (2, "thing/2")]


async def test_a_rollback_leaves_no_gap(database: Database) -> None:
    """Its number is missing from the record, but no place from the chain."""
    await recorded(database, entry(1))
    async with turned_back(database) as tx:
        await tx.audit.record([entry(2)])
    await recorded(database, entry(3))
    await auditing_on(database).seal()
    assert await places(database) == [(1, "thing/1"), (2, "thing/3")]
    assert (await verified(database)).fault is None


async def test_a_backlog_is_sealed_and_verified_in_portions(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A portion may end within a transaction, or exactly at the end; calls continue where the previous one ended."""
    monkeypatch.setattr(service, "_BATCH_SIZE", 4)
    await recorded(database, *(entry(number) for number in range(10)))
    await recorded(database, entry(10), entry(11))
    assert await auditing_on(database).seal() == 12
    whole = await verified(database)
    assert (whole.verified, whole.complete, whole.fault) == (12, True, None)
    after, seen = 0, []
    while True:
        found = await verified(database, after=after, limit=5)
        seen.append((found.verified, found.last.position, found.complete))
        assert found.fault is None
        after = found.last.position
        if found.complete:
            break
    assert seen == [(5, 5, False), (5, 10, False), (2, 12, True)]
    assert [(await verified(database, after=12)).verified, (await verified(database, limit=12)).complete] == [0, True]


async def test_of_two_sealers_the_second_has_nothing_to_do(database: Database) -> None:
    """It does not wait, and makes no second chain."""
    await recorded(database, entry(1))
    async with database.store(FRAME).transaction() as first:
        assert await first.audit_chain.try_lock()
        assert await auditing_on(database).seal() == 0
    assert await auditing_on(database).seal() == 1


async def test_a_chain_continues_after_transaction_ids_start_again(database: Database) -> None:
    """As after a dump is restored into another cluster: sealed events have higher numbers than new ones."""
    await recorded(database, entry(1), entry(2), entry(3))
    await auditing_on(database).seal()
    await recorded(database, entry(4))
    ahead = "transaction_id = (1000000 + transaction_id::text::bigint)::text::xid8"
    await execute(database, f"UPDATE frame.audit_entries SET {ahead}")
    # The numbers are signed: a real dump's do not change, so here the chain is built again over higher ones.
    await execute(database, "TRUNCATE frame.audit_seals")
    async with database.store(FRAME).transaction() as tx:
        old = await tx.audit.list_unsealed_before_restore(limit=3)
        await tx.audit_chain.add(sealed(old, BEGINNING, MASTER_KEYS.audit_key, lambda: BEGAN))
    await recorded(database, entry(5))
    assert (await verified(database)).fault is None
    assert await auditing_on(database).seal() == 1
    assert await auditing_on(database).seal() == 1
    await recorded(database, entry(6))
    assert await auditing_on(database).seal() == 1
    assert [resource for _, resource in await places(database)] == [f"thing/{number}" for number in range(1, 7)]
    assert (await verified(database)).fault is None


async def test_the_chains_end_is_anchored_outside_and_published_once(database: Database, tmp_path: Path) -> None:
    """In the file and in the event log, and only if it has moved."""
    file = AnchorFile(tmp_path / "anchors")
    auditing = auditing_on(database, keep_anchor=file.keep)
    assert not await auditing.anchor()
    for number in (1, 2):
        await recorded(database, entry(number))
        await auditing.seal()
        assert await auditing.anchor()
        assert not await auditing.anchor()
    anchors = file.read()
    assert [anchor.position for anchor in anchors] == [1, 2]
    assert anchors[-1] == await head(database)
    async with database.store(FRAME).reading() as tx:
        rows = await tx._connection.execute(text("SELECT type, data FROM frame.events ORDER BY sequence"))
        told = [(row.type, json.loads(row.data)) for row in rows]
    assert told == [(ANCHORED, {"position": each.position, "hash": each.hash.hex()}) for each in anchors]
    assert (await verified(database, *anchors)).fault is None


async def test_an_anchor_that_cannot_be_stored_is_not_published(database: Database, tmp_path: Path) -> None:
    """It is tried again the next time."""
    await recorded(database, entry(1))
    await auditing_on(database).seal()
    nowhere = AnchorFile(tmp_path / "missing" / "anchors")
    with pytest.raises(FileNotFoundError):
        await auditing_on(database, keep_anchor=nowhere.keep).anchor()
    assert await auditing_on(database).anchor()


async def test_an_anchor_file_survives_a_crash_in_the_middle_of_a_line(tmp_path: Path) -> None:
    """The partial line is no anchor, and is removed by the next write; the file is readable only by its owner."""
    path = tmp_path / "anchors"
    file = AnchorFile(path)
    one, two = AuditAnchor(1, bytes(32)), AuditAnchor(2, bytes(range(32)))
    await file.keep(one, BEGAN)
    assert path.stat().st_mode & 0o777 == 0o600
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    assert file.read() == [one]
    await file.keep(two, BEGAN)
    assert file.read() == [one, two]
    for spoilt in (b"{}\n", b"[]\n", b'{"position": 1, "hash": "xy"}\n', b'{"position": null, "hash": ""}\n', b"\n"):
        path.write_bytes(whole + spoilt + whole)
        with pytest.raises(AnchorsMalformed, match="line 2"):
            file.read()


async def test_jobs_seal_and_anchor_the_record(database: Database) -> None:
    """Every few seconds, and every minute."""
    await recorded(database, entry(1))
    tasks = {task.name: task for task in audit_tasks(auditing_on(database))}
    assert {name: task.every for name, task in tasks.items()} == {
        "identity.seal_audit": "* * * * * */2",
        "identity.anchor_audit": "* * * * * 30",
    }
    for task in tasks.values():
        await task.run()
    async with database.store(FRAME).reading() as tx:
        assert await tx.audit_chain.anchored() == await head(database)


async def test_a_foreign_event_is_found_before_it_is_sealed(database: Database) -> None:
    """After the chain's end, among the unsealed events."""
    await recorded(database, entry(1))
    await auditing_on(database).seal()
    await recorded(database, entry(2), entry(3))
    assert (await verified(database)).fault is None
    await execute(database, "UPDATE frame.audit_entries SET resource = 'x' WHERE resource = 'thing/3'")
    fault = (await verified(database)).fault
    assert fault is not None
    assert (fault.kind, fault.position) == (FaultKind.FOREIGN, 0)
    assert fault.sequence == (await events(database))[-1].sequence


async def test_an_event_that_claims_to_come_from_the_future_is_foreign(database: Database) -> None:
    """It would never be sealed."""
    await recorded(database, entry(1))
    await auditing_on(database).seal()
    await recorded(database, entry(2))
    ahead = "UPDATE frame.audit_entries SET transaction_id = '999999999999' WHERE resource = 'thing/2'"
    await execute(database, ahead)
    fault = (await verified(database)).fault
    assert fault is not None
    assert (fault.kind, fault.position) == (FaultKind.FOREIGN, 0)


async def test_one_entry_cannot_be_written_twice(database: Database) -> None:
    """The table itself refuses a copy."""
    same = uuid4()
    await recorded(database, entry(1, id=same))
    with pytest.raises(AlreadyExists):
        await recorded(database, entry(2, id=same))
    assert len(await events(database)) == 1
