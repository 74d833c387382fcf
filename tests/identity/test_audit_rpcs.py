"""AuditService, as an auditor calls it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import event

from backroom.identity.v1 import audit_pb2, audit_service_pb2
from backroom_client import AsyncBackroom, AsyncPages, Backroom
from storage.database import Database
from storage.frame.records import NOBODY, AuditFilter
from storage.store import FRAME
from tests.commerce.goods import stocked
from tests.fixtures.servers import Api, Running, refusal
from tests.identity.records import BEGAN, auditing_on, entry, execute, head, recorded

ADA, BOB = UUID(int=1), UUID(int=2)
List = audit_service_pb2.ListAuditEventsRequest
Verify = audit_service_pb2.VerifyAuditRequest


def stamp(time: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


async def resources(api: Api, **wanted: Any) -> list[str]:
    """The resources in a list, the latest first."""
    found = await api.audit.ListAuditEvents(List(page_size=1000, **wanted))
    return [each.resource for each in found.events]


@pytest.fixture
async def history(server: Running) -> Running:
    """Six entries, a second apart, of two callers and a job, one of them a refusal."""
    await recorded(
        server.database,
        entry(0, caller_id=ADA, action="a", resource="r/1"),
        entry(1, caller_id=ADA, action="b", resource="r/2"),
        entry(2, caller_id=BOB, action="a", resource="r/1"),
        entry(3, caller_id=NOBODY, action="c", resource="r/3", address="", call_id=""),
        entry(4, caller_id=BOB, action="b", resource="r/4", result="CREDENTIALS_INVALID"),
        entry(5, caller_id=BOB, action="b", resource="r/5"),
    )
    return server


async def test_an_event_has_caller_action_resource_time_address_and_result(
    server: Running, admin: Api, service: Api
) -> None:
    """As the server knows them from the call; until it is sealed it has no place."""
    began = datetime.now(UTC) - timedelta(seconds=1)
    await stocked(service, "TEA", 0)
    line = next(line for line in server.log if str(line.get("method", "")).endswith("CreateProduct"))
    found = await admin.audit.ListAuditEvents(List(resource="product/TEA"))
    [told] = found.events
    assert told.caller_id == str(service.account_id)
    assert told.action == "backroom.commerce.v1.CatalogService/CreateProduct"
    assert began < told.create_time.ToDatetime(UTC) < datetime.now(UTC)
    assert (told.address, told.call_id, told.result) == ("127.0.0.1", line["call_id"], "OK")
    assert (told.position, told.hash) == (0, b"")
    await auditing_on(server.database).seal()
    [told] = (await admin.audit.ListAuditEvents(List(resource="product/TEA"))).events
    assert told.position > 0
    assert len(told.hash) == 32


@pytest.mark.usefixtures("history")
async def test_each_filter_selects_its_events(admin: Api) -> None:
    """Together they select only what matches all; the latest comes first."""
    assert (await resources(admin))[:6] == ["r/5", "r/4", "r/3", "r/1", "r/2", "r/1"]
    assert await resources(admin, caller_id=str(ADA)) == ["r/2", "r/1"]
    assert await resources(admin, action="a") == ["r/1", "r/1"]
    assert await resources(admin, resource="r/1") == ["r/1", "r/1"]
    assert await resources(admin, result="CREDENTIALS_INVALID") == ["r/4"]
    assert await resources(admin, result="OK", action="b") == ["r/5", "r/2"]
    second = timedelta(seconds=1)
    assert await resources(admin, start_time=stamp(BEGAN + 2 * second), end_time=stamp(BEGAN + 4 * second)) == [
        "r/3",
        "r/1",
    ]
    assert await resources(admin, caller_id=str(BOB), action="b", resource="r/5", result="OK") == ["r/5"]
    assert await resources(admin, caller_id=str(ADA), resource="r/5") == []


@pytest.mark.usefixtures("history")
async def test_an_event_of_a_job_has_no_caller(admin: Api) -> None:
    """Nor an address or a call."""
    [told] = (await admin.audit.ListAuditEvents(List(resource="r/3"))).events
    assert (told.caller_id, told.address, told.call_id) == ("", "", "")


async def test_pages_show_each_event_once(history: Running, admin: Api) -> None:
    """Even events of one moment, and while new ones are added."""
    await recorded(history.database, *(entry(9, resource=f"same/{number}") for number in range(5)))
    seen: list[str] = []
    request = List(page_size=3, start_time=stamp(BEGAN), end_time=stamp(BEGAN + timedelta(days=1)))
    while True:
        page = await admin.audit.ListAuditEvents(request)
        seen += [each.resource for each in page.events]
        assert len(page.events) <= 3
        await recorded(history.database, entry(3600, resource="later"))
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == [*(f"same/{number}" for number in (4, 3, 2, 1, 0)), "r/5", "r/4", "r/3", "r/1", "r/2", "r/1"]
    request.action = "another list"
    assert (await refusal(admin.audit.ListAuditEvents(request))).reason == "PAGE_TOKEN_INVALID"


async def test_a_time_out_of_bounds_is_refused(admin: Api) -> None:
    """With its field's name."""
    for field in ("start_time", "end_time"):
        given: dict[str, Any] = {field: Timestamp(seconds=10**15)}
        refused = await refusal(admin.audit.ListAuditEvents(List(**given)))
        assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", [field])


async def test_a_chain_is_verified_call_by_call(history: Running, admin: Api) -> None:
    """Each call continues after the previous one; the last one says that the chain ends."""
    assert await auditing_on(history.database).seal() == 6
    first = await admin.audit.VerifyAudit(Verify(limit=4))
    assert (first.verified_count, first.last_position, first.complete) == (4, 4, False)
    second = await admin.audit.VerifyAudit(Verify(after_position=4, limit=4))
    assert (second.verified_count, second.last_position, second.complete) == (2, 6, True)
    assert not second.HasField("fault")
    anchor = await head(history.database)
    assert second.last_hash == anchor.hash
    whole = Verify(anchor=audit_pb2.AuditAnchor(position=anchor.position, hash=anchor.hash))
    found = await admin.audit.VerifyAudit(whole)
    assert (found.verified_count, found.complete, found.HasField("fault")) == (6, True, False)


async def test_an_empty_chain_is_valid(admin: Api) -> None:
    """Nothing was sealed yet."""
    found = await admin.audit.VerifyAudit(Verify())
    assert (found.verified_count, found.last_position, found.complete) == (0, 0, True)
    assert not found.HasField("fault")


async def test_the_first_fault_is_named(history: Running, admin: Api) -> None:
    """By its kind, its place and its event; the places before it are counted."""
    await auditing_on(history.database).seal()
    await execute(history.database, "UPDATE frame.audit_entries SET result = 'OK' WHERE result <> 'OK'")
    found = await admin.audit.VerifyAudit(Verify())
    assert (found.verified_count, found.last_position, found.complete) == (4, 4, False)
    assert (found.fault.kind, found.fault.position) == (audit_pb2.AuditFault.KIND_ALTERED, 5)
    assert found.fault.sequence > 0
    cut = audit_pb2.AuditAnchor(position=9, hash=bytes(32))
    assert (await admin.audit.VerifyAudit(Verify(after_position=5, anchor=cut))).fault == audit_pb2.AuditFault(
        kind=audit_pb2.AuditFault.KIND_MISSING, position=7
    )


async def test_an_invalid_start_or_anchor_is_refused(history: Running, admin: Api) -> None:
    """A place beyond the chain, and a malformed anchor, each with its field's name."""
    await auditing_on(history.database).seal()
    for request, field in (
        (Verify(after_position=7), "after_position"),
        (Verify(anchor=audit_pb2.AuditAnchor(position=0, hash=bytes(32))), "anchor.position"),
        (Verify(anchor=audit_pb2.AuditAnchor(position=1, hash=bytes(31))), "anchor.hash"),
        (Verify(limit=-1), "limit"),
    ):
        refused = await refusal(admin.audit.VerifyAudit(request))
        assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", [field])


async def test_the_client_reads_the_record(history: Running, admin: Api) -> None:
    """All of its pages, by the client's stub."""
    async with AsyncBackroom(history.address) as backroom:
        metadata = (("authorization", f"Bearer {admin.token}"),)

        async def listed(request: List) -> audit_service_pb2.ListAuditEventsResponse:
            return await backroom.audit.ListAuditEvents(request, metadata=metadata)

        pages = AsyncPages(listed, List(page_size=2, resource="r/1"))
        assert [each.caller_id async for each in pages.items(lambda page: page.events)] == [str(BOB), str(ADA)]
    with Backroom(history.address) as blocking:
        answer = await asyncio.to_thread(lambda: blocking.audit.VerifyAudit(Verify(), metadata=metadata))
        assert answer.complete


SPREAD = """
    INSERT INTO frame.audit_entries
        (create_time, caller_id, action, resource, address, call_id, result, id, key_id, mac)
    SELECT now() - make_interval(secs => n), ('00000000-0000-0000-0000-' || lpad((n % 5000)::text, 12, '0'))::uuid,
        'action/' || n % 60, 'order/' || n, '', '', CASE n % 500 WHEN 0 THEN 'DENIED' ELSE 'OK' END,
        gen_random_uuid(), '', ''
    FROM generate_series(1, :rows) AS n
"""


@pytest.mark.proof
async def test_every_filter_uses_an_index(database: Database) -> None:
    """A page of 200,000 events is read without reading the others."""
    await execute(database, SPREAD, rows=200_000)
    await execute(database, "ANALYZE frame.audit_entries")
    filters: dict[str, Any] = {
        "caller_id": UUID(int=0x77),
        "action": "action/7",
        "resource": "order/70000",
        "result": "DENIED",
        "start_time": datetime.now(UTC) - timedelta(hours=30),
        "end_time": datetime.now(UTC) - timedelta(hours=30),
    }
    for wanted in ({}, *({name: value} for name, value in filters.items()), {"result": "OK"}, {"result": "NONE"}):
        read = await buffers_read(database, **wanted)
        assert read < 400, (wanted, read)


async def buffers_read(database: Database, **wanted: Any) -> int:
    """How many pages of 8 kB PostgreSQL reads to list a page of 50."""
    sent: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        sent.append((statement, parameters))

    async with database.store(FRAME).transaction() as tx:
        connection = tx._connection.sync_connection
        event.listen(connection, "before_cursor_execute", keep)
        await tx.audit.list_latest(AuditFilter(**wanted), before=None, limit=50)
        event.remove(connection, "before_cursor_execute", keep)
        [(statement, parameters)] = sent
        explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
        [plan] = (await tx._connection.exec_driver_sql(explained, parameters)).scalar_one()
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])
