"""Downloads by signed links: ranges, what browsers are told, and what links permit."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import files_pb2
from backroom.identity.v1 import access_service_pb2 as access_pb
from server.files.http import downloads
from server.files.http.downloads import disposition, served_type
from server.files.http.ranges import ByteRange, Unsatisfiable, byte_range
from server.files.scanning.configured import NoScanner
from storage.database import Database
from storage.files.store import FILES
from tests.files.calling import Behind, clean, content_of, deleted, fresh, uploaded
from tests.files.images import HTML, drawn
from tests.fixtures.applications import FILES_FOLDER
from tests.fixtures.http import plain_client
from tests.fixtures.servers import Api, Running, quick_passwords, refusal, running


@pytest.fixture
async def server(database: Database) -> AsyncIterator[Running]:
    """One that is set to serve what nobody scanned."""
    async with running(
        database,
        passwords=quick_passwords(),
        files_scanner="none",
        files_cors_origins=("https://shop.example.com",),
    ) as opened:
        yield opened


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with plain_client(server.http, timeout=60) as client:
        yield client


@pytest.fixture(params=["as a file", "in parts"])
def sending(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which a file is sent: as one, and in parts, as under TLS."""
    if request.param == "in parts":
        monkeypatch.setattr(downloads, "file_sending", lambda _request: None)


async def served(server: Running, api: Api, content: bytes, name: str = "a.bin") -> files_pb2.File:
    """A file that is served, with the type that its content has."""
    file = await uploaded(api, content, name)
    await Behind(server.database, scanner=NoScanner()).scanning.scan_due()  # type: ignore[arg-type]  # it scans nothing
    return file


async def path_of(api: Api, file: files_pb2.File, **rest: Any) -> str:
    request = pb.CreateDownloadLinkRequest(request_id=fresh(), file_id=file.file_id, **rest)
    path: str = (await api.files.CreateDownloadLink(request)).path
    return path


@pytest.mark.usefixtures("sending")
async def test_a_link_downloads_a_file_as_an_attachment_that_runs_nothing(
    server: Running, customer: Api, http: httpx.AsyncClient
) -> None:
    content = content_of(700_000)
    path = await path_of(customer, await served(server, customer, content, "Übung <1>.bin"))
    answer = await http.get(path)
    assert (answer.status_code, answer.content) == (200, content)
    headers = answer.headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == (
        "attachment; filename=\"Ubung _1_.bin\"; filename*=UTF-8''%C3%9Cbung%20%3C1%3E.bin"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].endswith("; sandbox")
    assert headers["cache-control"] == "private, no-cache"
    known = await http.get(path, headers={"if-none-match": headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    head = await http.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "700000")


@pytest.mark.usefixtures("sending")
async def test_ranges_of_a_file(server: Running, customer: Api, http: httpx.AsyncClient) -> None:
    content = content_of(600_000)
    path = await path_of(customer, await served(server, customer, content))
    etag = (await http.head(path)).headers["etag"]

    async def part(wanted: str, **more: str) -> tuple[int, str, bytes]:
        answer = await http.get(path, headers={"range": wanted, **more})
        return answer.status_code, answer.headers.get("content-range", ""), answer.content

    assert await part("bytes=0-0") == (206, "bytes 0-0/600000", content[:1])
    assert await part("bytes=300000-") == (206, "bytes 300000-599999/600000", content[300_000:])
    assert await part("bytes=-5") == (206, "bytes 599995-599999/600000", content[-5:])
    assert await part("bytes=599999-700000") == (206, "bytes 599999-599999/600000", content[-1:])
    assert await part("bytes=600000-") == (416, "bytes */600000", b"")
    assert await part("bytes=0-1,5-6") == (200, "", content)
    assert await part("bytes=1-2", **{"if-range": etag}) == (206, "bytes 1-2/600000", content[1:3])
    assert await part("bytes=1-2", **{"if-range": '"another"'}) == (200, "", content)
    head = await http.head(path, headers={"range": "bytes=1-2"})
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "600000", b"")


async def test_an_empty_file_has_no_ranges(server: Running, customer: Api, http: httpx.AsyncClient) -> None:
    path = await path_of(customer, await served(server, customer, b""))
    whole, part = await http.get(path), await http.get(path, headers={"range": "bytes=0-"})
    assert (whole.status_code, whole.content, part.status_code) == (200, b"", 416)


async def test_a_link_is_short_lived_and_ours(database: Database) -> None:
    """And ends with the file."""
    time = datetime.now(UTC)
    async with (
        running(database, passwords=quick_passwords(), files_scanner="none", now=lambda: time) as server,
        plain_client(server.http, timeout=60) as http,
    ):
        api = await server.sign_in("customer")
        file = await served(server, api, b"content")
        path = await path_of(api, file, valid_minutes=5)
        other = await path_of(api, file, valid_minutes=6)
        assert (await http.get(path)).content == b"content"
        for wrong in (path[:-1], path + "A", path.replace("/downloads/", "/downloads/A"), path.split(".")[0]):
            assert (await http.get(wrong)).status_code == 401
        time = time.replace(microsecond=0).fromtimestamp(time.timestamp() + 301, UTC)
        assert (await http.get(path)).status_code == 401
        assert (await http.get(other)).status_code == 200
        await deleted(api, file.file_id)
        assert (await http.get(other)).status_code == 404


async def test_a_link_ends_with_the_account_that_made_it(
    server: Running, customer: Api, http: httpx.AsyncClient
) -> None:
    """Whoever is gone has left no way to files behind; another account's link to the same file goes on."""
    file, admin = await served(server, customer, drawn("PNG")), await server.sign_in("admin")
    own = [await path_of(customer, file), await path_of(customer, file, thumbnail_pixels=32)]
    others = await path_of(admin, file)
    request = access_pb.DisableAccountRequest(request_id=fresh(), account_id=str(customer.account_id))
    await admin.access.DisableAccount(request)
    assert [(await http.get(path)).status_code for path in (*own, others)] == [401, 401, 200]


async def test_what_is_not_scanned_is_not_served_by_a_link_that_was_made_before(
    server: Running, customer: Api, http: httpx.AsyncClient, database: Database
) -> None:
    """Another server, which is not set to serve it, refuses the same link."""
    file = await served(server, customer, drawn("PNG"))
    paths = [await path_of(customer, file), await path_of(customer, file, thumbnail_pixels=32)]
    assert [(await http.get(path)).status_code for path in paths] == [200, 200]
    async with (
        running(database, passwords=quick_passwords()) as careful,
        plain_client(careful.http, timeout=60) as other,
    ):
        answers = [await other.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert "only clean files are served" in answers[0].text
    waiting = await uploaded(customer, b"not scanned yet")
    refused = await refusal(customer.files.CreateDownloadLink(pb.CreateDownloadLinkRequest(file_id=waiting.file_id)))
    assert refused.reason == "FILE_NOT_SERVED"


async def test_thumbnails_by_grpc_and_by_a_link(server: Running, customer: Api, http: httpx.AsyncClient) -> None:
    """Three sizes, and any other one by a link; the link to the thumbnail does not give the image."""
    file = await served(server, customer, drawn("JPEG", 3000, 1000))
    sizes = {
        files_pb2.THUMBNAIL_SIZE_SMALL: 128,
        files_pb2.THUMBNAIL_SIZE_MEDIUM: 512,
        files_pb2.THUMBNAIL_SIZE_LARGE: 1280,
    }
    for size, edge in sizes.items():
        found = await customer.files.GetThumbnail(pb.GetThumbnailRequest(file_id=file.file_id, size=size))
        with Image.open(BytesIO(found.data)) as image:
            assert (image.format, image.size) == ("WEBP", (found.width, found.height))
            assert image.width == edge
    path = await path_of(customer, file, thumbnail_pixels=77)
    answer = await http.get(path)
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == ("image/webp", "nosniff")
    with Image.open(BytesIO(answer.content)) as image:
        assert image.width == 77
    assert (await http.get(path, headers={"if-none-match": answer.headers["etag"]})).status_code == 304
    page = await served(server, customer, HTML, "picture.png")
    refused = await refusal(customer.files.GetThumbnail(pb.GetThumbnailRequest(file_id=page.file_id)))
    assert refused.reason == "THUMBNAIL_NOT_FOUND"
    assert (await http.get(await path_of(customer, page, thumbnail_pixels=16))).status_code == 404


async def test_pages_of_exact_origins_may_read(server: Running, customer: Api, http: httpx.AsyncClient) -> None:
    path = await path_of(customer, await served(server, customer, b"content"))
    for origin, allowed in (("https://shop.example.com", True), ("https://evil.example.com", False), ("null", False)):
        answer = await http.get(path, headers={"origin": origin})
        assert (answer.headers.get("access-control-allow-origin") == origin) == allowed
        preflight = {
            "origin": origin,
            "access-control-request-method": "GET",
            "access-control-request-headers": "range",
        }
        assert ((await http.options(path, headers=preflight)).status_code == 200) == allowed


@pytest.mark.usefixtures("sending")
async def test_a_reader_that_does_not_read_is_ended(
    server: Running, customer: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it got is not taken for the whole file."""
    monkeypatch.setattr(downloads, "_WRITE_SECONDS", 0.3)
    size = 30_000_000
    path = await path_of(customer, await served(server, customer, bytes(size)))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.server.http_port, limit=1000)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    for _ in range(1_200):
        if writer.is_closing():
            break
        writer.write(b"\r\n")  # by which one learns that the other side has gone
        await asyncio.sleep(0.05)
    got = 0
    with suppress(ConnectionError):
        while part := await reader.read(1_000_000):
            got += len(part)
    writer.close()
    assert got < size


@pytest.mark.usefixtures("sending")
async def test_a_file_whose_bytes_are_gone_ends_the_connection(
    server: Running, customer: Api, http: httpx.AsyncClient
) -> None:
    """And says why in the log, and nowhere else."""
    file = await served(server, customer, content_of(2_000_000))
    path = await path_of(customer, file)
    async with server.database.store(FILES).reading() as reading:
        content = await reading.contents.find(file.sha256)
    assert content is not None
    await Behind(server.database).blobs.delete([content.key])
    with pytest.raises(httpx.RemoteProtocolError):
        await http.get(path)
    (line,) = [line for line in server.log if line["event"] == "download_failed"]
    assert "BlobMissing" in line["fault"]


@pytest.mark.usefixtures("sending")
async def test_a_file_that_lost_bytes_ends_the_connection(
    server: Running, customer: Api, http: httpx.AsyncClient
) -> None:
    file = await served(server, customer, content_of(2_000_000, 7))
    path = await path_of(customer, file)
    async with server.database.store(FILES).reading() as reading:
        content = await reading.contents.find(file.sha256)
    assert content is not None
    os.truncate(FILES_FOLDER / content.key, 1_500_000)
    with pytest.raises(httpx.RemoteProtocolError):
        await http.get(path)
    (line,) = [line for line in server.log if line["event"] == "download_failed"]
    assert line["fault"].startswith("BlobMissing ")


async def test_one_connection_downloads_one_file_after_the_other(server: Running, customer: Api) -> None:
    """What is asked for behind a file is answered behind it."""
    small, large = content_of(10, 1), content_of(9_000_000)
    paths = [await path_of(customer, await served(server, customer, content)) for content in (small, large)]
    reader, writer = await asyncio.open_connection("127.0.0.1", server.server.http_port)
    for path, ending in zip((*paths, *paths), ("", "", "", "connection: close\r\n"), strict=True):
        writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\n{ending}\r\n".encode())
    for content in (small, large, small, large):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(len(content)) == content
    assert await reader.read() == b""
    writer.close()


async def test_a_clean_file_is_downloaded_by_its_link(server: Running, customer: Api, http: httpx.AsyncClient) -> None:
    file = await clean(server, customer, content_of(1_000))
    assert (await http.get(await path_of(customer, file))).content == content_of(1_000)


@pytest.mark.parametrize(
    ("header", "size", "found"),
    [
        ("bytes=0-4", 10, ByteRange(0, 5)),
        ("bytes=5-", 10, ByteRange(5, 5)),
        ("bytes=-20", 10, ByteRange(0, 10)),
        ("bytes=5-2", 10, None),
        ("bytes=", 10, None),
        ("bytes=a-b", 10, None),
        ("lines=0-4", 10, None),
        ("", 10, None),
        ("bytes=" + "9" * 40 + "-", 10, None),
    ],
)
def test_what_a_range_means(header: str, size: int, found: ByteRange | None) -> None:
    assert byte_range(header, size) == found


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-1", 0)])
def test_ranges_that_nothing_satisfies(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        byte_range(header, size)


@pytest.mark.parametrize(
    "name", ['a"b\\c.txt', "a\r\nset-cookie: x", "\u202eexe.txt", "a;b=c.txt", "日本.png", "." * 50, "x" * 255, " "]
)
def test_no_name_gets_out_of_its_header(name: str) -> None:
    header = disposition(name)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert header.count(";") == 2
    assert "\\" not in header


@pytest.mark.parametrize(
    "kind", ["text/html", "image/svg+xml", "application/xml", "application/javascript", "text/css", ""]
)
def test_what_a_browser_would_run_is_of_no_known_type(kind: str) -> None:
    assert served_type(kind) == "application/octet-stream"


def test_what_no_browser_runs_keeps_its_type() -> None:
    assert [served_type(kind) for kind in ("image/png", "text/plain")] == ["image/png", "text/plain; charset=utf-8"]
