"""Hostile names and contents, uploaded to a server with a real ClamAV behind it, to their documented ends."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import files_pb2
from server.files.scanning.configured import scanner_of
from storage.database import Database
from tests.files.calling import Behind, created, downloaded, found, fresh, uploaded
from tests.files.uploads import HOSTILE, zipped
from tests.fixtures.clamd import EICAR, MAX_BYTES, RunningClamd, running_clamd
from tests.fixtures.servers import Api, Running, quick_passwords, refusal, running
from tests.fixtures.trading import eventually

REFUSED_NAMES = (
    *("", " ", ".", "..", "../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "a/b", "C:\\a"),
    *("a\0b", "a\nb", "a\r\nSet-Cookie: x", "a\x1b[2Jb", "invoice\u202efdp.exe", "a\u200bb", "\ufeffa", "a\u2028b"),
    "x" * 10_000,
)
TAKEN_NAMES = (
    *("x" * 255, "Übung.png", "日本語.txt", "<script>alert(1)<script>.html", "'; DROP TABLE files; --", "%2e%2e%2f"),
    *("CON", "a.png.exe", "\N{FAMILY}\N{ZERO WIDTH JOINER}.jpg", "..a", "$(id)", "{{7*7}}"),
)


def behind(server: Running, clamd: RunningClamd) -> Behind:
    scanner = scanner_of(clamd.setting, MAX_BYTES)
    assert scanner is not None
    return Behind(server.database, scanner)  # type: ignore[arg-type]  # a real one


@pytest.mark.parametrize("name", REFUSED_NAMES)
async def test_a_name_that_hides_or_leads_somewhere_is_refused(customer: Api, name: str) -> None:
    refused = await refusal(customer.files.CreateUpload(pb.CreateUploadRequest(name=name, size_bytes=1)))
    assert refused.reason == "FIELD_INVALID"
    assert {*refused.fields} == {"name"}


async def test_any_other_name_is_kept_as_it_is(customer: Api) -> None:
    for name in TAKEN_NAMES:
        assert (await created(customer, 1, name)).file.name == name


@pytest.mark.slow
async def test_each_hostile_content_ends_as_it_is_said_to(server: Running, customer: Api, clamd: RunningClamd) -> None:
    """What is not clean is neither served, nor deleted; what lies about its type is told by its content."""
    work = behind(server, clamd)
    contents = {name: make() for name, make, *_ in HOSTILE}
    files = {name: await uploaded(customer, content, f"{name[:50]}.png") for name, content in contents.items()}
    await work.scanning.scan_due()
    wrong = []
    for name, _, outcome, kind in HOSTILE:
        file = await found(customer, files[name].file_id)
        if (file.state, file.content_type) != (getattr(files_pb2, f"FILE_STATE_{outcome.name}"), kind):
            wrong.append((name, file.state, file.content_type))
        elif file.state == files_pb2.FILE_STATE_CLEAN:
            assert await downloaded(customer, file.file_id) == contents[name]
        else:
            assert (await refusal(downloaded(customer, file.file_id))).reason == "FILE_NOT_SERVED", name
    assert not wrong
    assert await work.objects()


@pytest.fixture
async def scanning_server(database: Database, database_url: str, clamd: RunningClamd) -> AsyncIterator[Running]:
    """A server that does its jobs itself, with a scanner."""
    parts: dict[str, Any] = {
        "files_scanner": clamd.setting,
        "files_scanner_max_bytes": MAX_BYTES,
    }
    async with running(database, jobs_on=database_url, passwords=quick_passwords(), **parts) as opened:
        yield opened


async def test_the_test_virus_is_found_by_the_jobs_of_a_server(scanning_server: Running) -> None:
    """Plain and zipped; what was uploaded beside it is served."""
    api = await scanning_server.sign_in("customer")
    files = [await uploaded(api, content) for content in (EICAR, zipped(EICAR), b"nothing")]

    async def states() -> list[str]:
        return [files_pb2.FileState.Name((await found(api, file.file_id)).state)[11:] for file in files]

    assert await eventually(states, lambda seen: not {*seen} & {"STORED", "SCANNING"}, within=60) == [
        *("INFECTED", "INFECTED", "CLEAN")
    ]
    verdict = (await found(api, files[0].file_id)).verdict
    assert (verdict.scanner, verdict.detail) == ("clamav", "Tests.Eicar.UNOFFICIAL")
    assert verdict.signatures.startswith("ClamAV ")
    assert (await refusal(downloaded(api, files[1].file_id))).reason == "FILE_NOT_SERVED"
    assert await downloaded(api, files[2].file_id) == b"nothing"


async def test_files_wait_for_a_scanner_that_is_down_and_are_scanned_again_by_new_signatures(
    server: Running, customer: Api, admin: Api
) -> None:
    """The verdicts on a content are all kept."""
    content = b"something that nobody knows yet"
    with running_clamd() as clamd:
        work = behind(server, clamd)
        clamd.stop()
        file = await uploaded(customer, content)
        await work.scanning.scan_due()
        assert (await found(customer, file.file_id)).state == files_pb2.FILE_STATE_STORED
        assert [line["event"] for line in work.log] == ["scanner_unavailable"]
        clamd.start()
        work.later = timedelta(minutes=5)
        await work.scanning.scan_due()
        assert await downloaded(customer, file.file_id) == content
        clamd.sign(2, **{"Tests.Eicar": EICAR, "Tests.New": content})
        await work.scanning.request_changed()
        await work.scanning.scan_due()
    assert (await refusal(downloaded(customer, file.file_id))).reason == "FILE_NOT_SERVED"
    verdicts = (await admin.files.ListVerdicts(pb.ListVerdictsRequest(file_id=file.file_id))).verdicts
    outcomes = [files_pb2.Outcome.Name(each.outcome) for each in verdicts]
    assert outcomes == ["OUTCOME_INFECTED", "OUTCOME_CLEAN"]
    assert ["/2/" in each.signatures for each in verdicts] == [True, False]


async def test_a_server_without_a_scanner_serves_nothing(database: Database, database_url: str) -> None:
    """Files wait; with `none` by name they are served, and said not to have been scanned."""
    parts: dict[str, Any] = {"passwords": quick_passwords(), "jobs_on": database_url}
    async with running(database, **parts) as server:
        api = await server.sign_in("admin")
        file = await uploaded(api, b"content")
        assert (await refusal(downloaded(api, file.file_id))).reason == "FILE_NOT_SERVED"
        refused = await refusal(api.files.RescanFiles(pb.RescanFilesRequest(request_id=fresh())))
        assert refused.reason == "SCANNER_MISSING"
    async with running(database, files_scanner="none", **parts) as server:
        api = await server.sign_in("admin")

        async def seen() -> files_pb2.File:
            return await found(api, file.file_id)

        scanned = await eventually(seen, lambda found: found.state == files_pb2.FILE_STATE_UNSCANNABLE, within=60)
        assert (scanned.verdict.scanner, scanned.verdict.detail.startswith("it was not scanned")) == ("none", True)
        assert await downloaded(api, file.file_id) == b"content"
