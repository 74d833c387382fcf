"""Files once they are uploaded: who sees them, quotas, holds, deletion, scans and watches."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import files_pb2
from server.files.service.owners import OwnersData
from server.frame.personal_data import Erasure
from server.frame.wire import timestamp
from storage.files.store import FILES
from tests.files.calling import (
    CHUNK,
    SIGNATURE,
    Behind,
    clean,
    complete,
    content_of,
    created,
    deleted,
    downloaded,
    found,
    fresh,
    laws_hold,
    uploaded,
    written,
)
from tests.fixtures.servers import Api, Running, refusal, running


async def listed(api: Api, **wanted: Any) -> list[str]:
    answer = await api.files.ListFiles(pb.ListFilesRequest(**wanted))
    return [file.file_id for file in answer.files]


async def test_a_file_is_seen_by_its_owner_and_those_who_read_all(server: Running, customer: Api, admin: Api) -> None:
    """To others it is none; it is deleted by its owner, and by those who manage all."""
    other, reader = await server.sign_in("customer"), await server.sign_in("manager")
    content = content_of(10)
    file = await clean(server, customer, content)
    for api in (customer, reader, admin):
        assert await found(api, file.file_id) == file
        assert await downloaded(api, file.file_id) == content
        assert await listed(api) == [file.file_id]
    assert await listed(other) == await listed(other, owner_id=str(customer.account_id)) == []
    for call in (found(other, file.file_id), downloaded(other, file.file_id), deleted(other, file.file_id)):
        assert (await refusal(call)).reason == "FILE_NOT_FOUND"
    refused = await refusal(deleted(reader, file.file_id))
    assert (refused.reason, refused.metadata) == ("NOT_THE_OWNER", {"permission": "files.manage"})
    await deleted(admin, file.file_id)
    assert (await refusal(found(customer, file.file_id))).reason == "FILE_NOT_FOUND"
    await laws_hold(server)


async def test_files_are_listed_latest_first_by_state_and_owner(server: Running, customer: Api, admin: Api) -> None:
    """Page by page."""
    mine = [(await uploaded(customer, content_of(10, seed))).file_id for seed in range(3)]
    started = (await created(customer, 5)).file.file_id
    theirs = (await uploaded(admin, content_of(10, 9))).file_id
    assert await listed(customer) == [started, *reversed(mine)]
    assert await listed(admin) == [theirs, started, *reversed(mine)]
    assert await listed(admin, owner_id=str(admin.account_id)) == [theirs]
    assert await listed(admin, state=files_pb2.FILE_STATE_UPLOADING) == [started]
    first = await customer.files.ListFiles(pb.ListFilesRequest(page_size=3))
    second = await customer.files.ListFiles(pb.ListFilesRequest(page_size=3, page_token=first.next_page_token))
    assert [file.file_id for file in (*first.files, *second.files)] == [started, *reversed(mine)]
    assert second.next_page_token == ""
    await laws_hold(server)


async def test_equal_bytes_are_kept_once_until_the_last_file_is_gone(server: Running, customer: Api) -> None:
    """Whoever's they are: the others of one that is deleted stay as they are."""
    behind, other = Behind(server.database), await server.sign_in("customer")
    before = {*await behind.objects()}
    content = content_of(3 * CHUNK)
    first, second = await clean(server, customer, content), await uploaded(other, content)
    assert second.state == files_pb2.FILE_STATE_CLEAN  # nothing is scanned twice
    await behind.sweeping.delete_objects()
    assert len({*await behind.objects()} - before) == 1
    await deleted(customer, first.file_id)
    await behind.sweeping.delete_objects()
    assert await downloaded(other, second.file_id) == content
    await laws_hold(server)
    await deleted(other, second.file_id)
    await behind.sweeping.delete_objects()
    assert {*await behind.objects()} == before
    await laws_hold(server)


async def test_an_upload_of_what_is_deleted_at_the_same_time_has_its_bytes(server: Running, customer: Api) -> None:
    """The last file of a content goes while another one with it is completed: whichever comes first, the other's
    bytes are there."""
    behind = Behind(server.database)
    for seed in range(4):
        content = content_of(1000, seed)
        last = await clean(server, customer, content)
        file_id = (await created(customer, len(content))).file.file_id
        await written(customer, file_id, content)
        await asyncio.gather(
            deleted(customer, last.file_id),
            customer.files.CompleteUpload(complete(file_id, content)),
            behind.sweeping.delete_objects(),
        )
        await behind.sweeping.delete_objects()
        await behind.scanning.scan_due()
        assert await downloaded(customer, file_id) == content
    await laws_hold(server)


async def test_only_what_was_found_clean_is_served(server: Running, customer: Api) -> None:
    """What was infected, or could not be scanned, is kept and refused with its state."""
    behind = Behind(server.database)
    behind.scanner.largest = 2 * CHUNK
    bad = await uploaded(customer, content_of(1000) + SIGNATURE)
    large = await uploaded(customer, content_of(2 * CHUNK + 1))
    await behind.scanning.scan_due()
    for file, state, detail in ((bad, "infected", "Test.Malice"), (large, "unscannable", "too large")):
        assert (await found(customer, file.file_id)).verdict.detail == detail
        link = pb.CreateDownloadLinkRequest(request_id=fresh(), file_id=file.file_id)
        for call in (downloaded(customer, file.file_id), customer.files.CreateDownloadLink(link)):
            refused = await refusal(call)
            assert (refused.reason, refused.metadata) == ("FILE_NOT_SERVED", {"state": state})
    again = await uploaded(customer, content_of(1000) + SIGNATURE)
    assert again.state == files_pb2.FILE_STATE_INFECTED
    await laws_hold(server)


async def test_what_cannot_be_scanned_is_served_where_a_setting_says_so(server: Running) -> None:
    async with running(server.database, files_serve_unscannable=True) as lenient:
        customer, behind = await lenient.sign_in("customer"), Behind(server.database)
        behind.scanner.largest = 5
        large = await uploaded(customer, content_of(6))
        bad = await uploaded(customer, SIGNATURE[:5])
        await behind.scanning.scan_due()
        assert await downloaded(customer, large.file_id) == content_of(6)
        assert (await found(customer, bad.file_id)).state == files_pb2.FILE_STATE_CLEAN


async def test_what_was_found_stays_found_until_a_scan_calls_it_clean(server: Running) -> None:
    """Not a lowered limit, nor a scanner that is switched off, has it served."""
    content = content_of(1000) + SIGNATURE
    async with running(server.database, files_serve_unscannable=True, files_scanner="none") as lenient:
        customer, behind = await lenient.sign_in("customer"), Behind(server.database)
        bad = await uploaded(customer, content)
        await behind.scanning.scan_due()
        assert (await found(customer, bad.file_id)).state == files_pb2.FILE_STATE_INFECTED
        behind.scanner.largest = 5
        for version in ("2", "3"):
            behind.scanner.version = version
            await behind.scanning.request_changed()
            await behind.scanning.scan_due()
            assert (await refusal(downloaded(customer, bad.file_id))).reason == "FILE_NOT_SERVED"
            verdict = (await found(customer, bad.file_id)).verdict
            assert (verdict.signatures, verdict.detail) == (version, "Test.Malice was found before; now too large")
        assert (await uploaded(customer, content)).state == files_pb2.FILE_STATE_INFECTED
        behind.scanner.largest, behind.scanner.version = 10_000, "4"
        behind.scanner.known = b"another"
        await behind.scanning.request_changed()
        await behind.scanning.scan_due()
        assert await downloaded(customer, bad.file_id) == content


async def test_a_scanner_that_is_away_makes_files_wait(server: Running, customer: Api) -> None:
    """None is deleted or served; once it is back, they are scanned. One line of the log says when it went."""
    behind = Behind(server.database)
    behind.scanner.away = True
    file = await uploaded(customer, content_of(10))
    for _ in range(3):
        await behind.scanning.scan_due()
        behind.later += timedelta(minutes=5)
    assert (await found(customer, file.file_id)).state == files_pb2.FILE_STATE_STORED
    assert [line["event"] for line in behind.log] == ["scanner_unavailable"]
    behind.scanner.away = False
    await behind.scanning.scan_due()
    assert await downloaded(customer, file.file_id) == content_of(10)
    assert [line["event"] for line in behind.log] == ["scanner_unavailable", "scanner_available"]
    await laws_hold(server)


async def test_other_signatures_have_all_contents_scanned_again(server: Running, customer: Api, admin: Api) -> None:
    """What was found before holds until the new verdict, and all verdicts are kept."""
    behind, content = Behind(server.database), content_of(10)
    file = await clean(server, customer, content)
    await behind.scanning.request_changed()
    await behind.scanning.scan_due()
    assert behind.scanner.scanned == []
    behind.scanner.version = "2"
    await behind.scanning.request_changed()
    assert await downloaded(customer, file.file_id) == content
    await behind.scanning.scan_due()
    assert behind.scanner.scanned == [10]
    verdicts = (await admin.files.ListVerdicts(pb.ListVerdictsRequest(file_id=file.file_id))).verdicts
    assert [verdict.signatures for verdict in verdicts] == ["2", "1"]
    assert (await found(customer, file.file_id)).verdict == verdicts[0]
    await laws_hold(server)


async def test_a_content_is_scanned_by_one_worker_at_a_time(server: Running, customer: Api) -> None:
    """What a dead one left is scanned by the next once its claim has ended, and not before."""
    first, second = Behind(server.database), Behind(server.database)
    file = await uploaded(customer, content_of(10))
    await asyncio.gather(first.scanning.scan_due(), second.scanning.scan_due())
    assert len(first.scanner.scanned) + len(second.scanner.scanned) == 1
    left = await uploaded(customer, content_of(11))
    async with server.database.store(FILES).transaction() as tx:  # as one does that is killed right after it
        assert await tx.contents.claim(left.sha256, first.now(), first.now() + timedelta(seconds=60)) is not None
    await second.scanning.scan_due()
    assert (await found(customer, left.file_id)).state == files_pb2.FILE_STATE_STORED
    second.later = timedelta(seconds=61)
    await second.scanning.scan_due()
    assert (await found(customer, left.file_id)).state == files_pb2.FILE_STATE_CLEAN
    assert (await found(customer, file.file_id)).state == files_pb2.FILE_STATE_CLEAN


async def test_an_account_stores_no_more_than_its_quota(server: Running, admin: Api) -> None:
    """By its roles, or by what was set for it alone; uploads count from their creation, and what is deleted no more."""
    async with running(server.database, files_quota_bytes=100, files_large_quota_bytes=1000) as small:
        customer, staff = await small.sign_in("customer"), await small.sign_in("staff")
        first = (await created(customer, 60)).file.file_id
        refused = await refusal(created(customer, 41))
        assert (refused.code.name, refused.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
        assert refused.metadata == {"quota_bytes": "100", "used_bytes": "60"}
        await created(customer, 40)
        await created(staff, 1000)
        owner_id = str(customer.account_id)
        await admin.files.SetQuota(pb.SetQuotaRequest(request_id=fresh(), owner_id=owner_id, quota_bytes=150))
        await created(customer, 50)
        usage = await customer.files.GetUsage(pb.GetUsageRequest())
        assert (usage.file_count, usage.used_bytes, usage.quota_bytes) == (3, 150, 150)
        assert await admin.files.GetUsage(pb.GetUsageRequest(owner_id=owner_id)) == usage
        assert (await refusal(staff.files.GetUsage(pb.GetUsageRequest(owner_id=owner_id)))).reason == "NOT_THE_OWNER"
        await deleted(customer, first)
        await created(customer, 60)
        await admin.files.SetQuota(pb.SetQuotaRequest(request_id=fresh(), owner_id=owner_id))
        assert (await refusal(created(customer, 1))).metadata == {"quota_bytes": "100", "used_bytes": "150"}
        answers = await asyncio.gather(*(created(staff, 1) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(each, BaseException) for each in answers)
    await laws_hold(server)


async def test_a_file_larger_than_the_server_takes_is_refused(server: Running) -> None:
    async with running(server.database, files_largest_bytes=10) as small:
        customer = await small.sign_in("customer")
        await created(customer, 10)
        assert (await refusal(created(customer, 11))).fields == {
            "size_bytes": "must be at most 10 bytes, as this server is set"
        }


async def test_a_file_under_legal_hold_stays(server: Running, customer: Api, admin: Api) -> None:
    """It cannot be deleted and does not expire, also with its owner's account, until it is released."""
    behind = Behind(server.database)
    expire_time = timestamp(datetime.now(UTC) + timedelta(hours=1))
    file = await uploaded(customer, content_of(10), expire_time=expire_time)
    hold = pb.SetLegalHoldRequest(request_id=fresh(), file_id=file.file_id, legal_hold=True)
    held = (await admin.files.SetLegalHold(hold)).file
    assert held.legal_hold
    assert held.etag != file.etag
    for api in (customer, admin):
        assert (await refusal(deleted(api, file.file_id))).reason == "LEGAL_HOLD"
    behind.later = timedelta(hours=2)
    await behind.sweeping.expire_files()
    assert customer.account_id is not None
    owners = OwnersData(server.database.store(FILES), behind.now)
    await owners.erase(Erasure(customer.account_id))
    assert (await found(admin, file.file_id)).legal_hold
    release = pb.SetLegalHoldRequest(request_id=fresh(), file_id=file.file_id)
    await admin.files.SetLegalHold(release)
    await behind.sweeping.expire_files()
    assert (await refusal(found(admin, file.file_id))).reason == "FILE_NOT_FOUND"
    await laws_hold(server)


async def test_a_watch_tells_each_change_of_the_callers_files(server: Running, customer: Api) -> None:
    """And none of those of others."""
    other = await server.sign_in("customer")
    watch = customer.files.WatchFiles(pb.WatchFilesRequest())
    changes = aiter(watch)
    assert (await anext(changes)).change == ""
    await uploaded(other, content_of(5))
    file = await clean(server, customer, content_of(6))
    await deleted(customer, file.file_id)
    told = [await anext(changes) for _ in range(5)]
    watch.cancel()
    assert [each.change for each in told] == ["created", "stored", "scanning", "clean", "deleted"]
    assert {each.file.file_id for each in told} == {file.file_id}
    assert told[3].file == file


async def test_the_files_of_a_deleted_account_go_or_are_handed_over(server: Running, customer: Api) -> None:
    """With their events, and with what they count for; an upload goes in any case."""
    heir, behind = await server.sign_in("customer"), Behind(server.database)
    content = content_of(10)
    kept = await clean(server, customer, content)
    await created(customer, 5)
    owners = OwnersData(server.database.store(FILES), behind.now)
    assert customer.account_id is not None
    assert heir.account_id is not None
    rows = [row async for page in owners.export(customer.account_id) for row in page.rows]
    assert {row.get("name") for row in rows} == {"a.bin", None}
    await owners.erase(Erasure(customer.account_id, transfer_to=heir.account_id))
    assert await listed(customer) == []
    assert await downloaded(heir, kept.file_id) == content
    await laws_hold(server)
    await owners.erase(Erasure(heir.account_id))
    assert await listed(heir) == []
    await laws_hold(server)
