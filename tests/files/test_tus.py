"""tus 1.0.0 as its specification has it, by requests that are written here."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest

from backroom.files.v1 import file_service_pb2 as pb
from backroom.files.v1 import files_pb2
from backroom.identity.v1 import access_service_pb2 as access_pb
from server.files.http import tus
from storage.database import Database
from tests.files.calling import content_of, found, fresh, got, sha256_of, written
from tests.fixtures.http import plain_client
from tests.fixtures.servers import Api, Running, quick_passwords, running

ENDPOINT = "/files/uploads"
BYTES = "application/offset+octet-stream"


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with plain_client(server.http, timeout=60, headers={"tus-resumable": "1.0.0"}) as client:
        yield client


def by(api: Api, **more: str) -> dict[str, str]:
    """The headers of a caller with a token."""
    return {"authorization": f"Bearer {api.token}", **{name.replace("_", "-"): value for name, value in more.items()}}


def named(**values: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def patching(offset: int, **more: str) -> dict[str, str]:
    return {"content-type": BYTES, "upload-offset": str(offset), **more}


async def created(http: httpx.AsyncClient, api: Api, size: int, name: str = "a.bin") -> str:
    """The URL of a new upload."""
    answer = await http.post(ENDPOINT, headers=by(api, upload_length=str(size), upload_metadata=named(filename=name)))
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def file_id_of(url: str) -> str:
    return url.rpartition("/")[2]


async def stored(api: Api, url: str) -> int:
    """How much of an upload is stored, once any of it is."""
    for _ in range(1_200):
        if offset := (await got(api, file_id_of(url))).received_bytes:
            return offset
        await asyncio.sleep(0.05)
    raise TimeoutError


async def link_of(api: Api, **rest: int) -> str:
    request = pb.CreateUploadLinkRequest(request_id=fresh(), **rest)
    path: str = (await api.files.CreateUploadLink(request)).path
    return path


async def test_a_client_learns_what_is_supported(http: httpx.AsyncClient) -> None:
    """Without a token; it is told the version where it speaks another one."""
    answer = await http.options(ENDPOINT)
    assert (answer.status_code, answer.headers["tus-version"]) == (204, "1.0.0")
    extensions = {"creation", "creation-with-upload", "checksum", "termination", "expiration"}
    assert {*answer.headers["tus-extension"].split(",")} == extensions
    assert "sha1" in answer.headers["tus-checksum-algorithm"].split(",")
    assert int(answer.headers["tus-max-size"]) == 10 * 1024**3
    other = await http.post(ENDPOINT, headers={"tus-resumable": "0.2.2"})
    assert (other.status_code, other.headers["tus-version"]) == (412, "1.0.0")


async def test_an_upload_is_received_in_parts_and_becomes_a_file(customer: Api, http: httpx.AsyncClient) -> None:
    content = content_of(900_000)
    url = await created(http, customer, len(content), "Übung.png")
    for begin, end in ((0, 1), (1, 500_000), (500_000, len(content))):
        head = await http.head(url, headers=by(customer))
        assert (head.headers["upload-offset"], head.headers["upload-length"]) == (str(begin), "900000")
        assert head.headers["cache-control"] == "no-store"
        answer = await http.patch(url, headers=by(customer) | patching(begin), content=content[begin:end])
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(end)), answer.text
        assert parsedate_to_datetime(answer.headers["upload-expires"]).tzinfo is not None
        assert answer.headers["tus-resumable"] == "1.0.0"
    file = await found(customer, file_id_of(url))
    assert (file.name, file.state, file.sha256) == ("Übung.png", files_pb2.FILE_STATE_STORED, sha256_of(content))
    head = await http.head(url, headers=by(customer))
    assert (head.status_code, head.headers["upload-offset"]) == (200, "900000")


async def test_an_upload_may_begin_with_its_creation(customer: Api, http: httpx.AsyncClient) -> None:
    """Also an empty one, which is complete at once."""
    content = content_of(5_000)
    for whole in (content, b""):
        headers = by(customer, upload_length=str(len(whole)), content_type=BYTES)
        answer = await http.post(ENDPOINT, headers=headers, content=whole)
        assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(len(whole)))
        file = await found(customer, file_id_of(answer.headers["location"]))
        assert (file.name, file.sha256) == ("file", sha256_of(whole))
    empty = await created(http, customer, 0)
    assert (await found(customer, file_id_of(empty))).state == files_pb2.FILE_STATE_STORED


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
async def test_a_chunk_that_was_damaged_is_not_stored(customer: Api, http: httpx.AsyncClient, algorithm: str) -> None:
    content = content_of(800_000)
    url = await created(http, customer, len(content))
    digest = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
    checked = by(customer) | patching(0) | {"upload-checksum": f"{algorithm} {digest}"}
    damaged = await http.patch(url, headers=checked, content=content[:-1] + b"?")
    assert damaged.status_code == 460
    assert (await got(customer, file_id_of(url))).received_bytes == 0
    assert (await http.patch(url, headers=checked, content=content)).status_code == 204
    assert (await found(customer, file_id_of(url))).sha256 == sha256_of(content)


async def test_wrong_requests_are_refused(customer: Api, http: httpx.AsyncClient) -> None:
    url = await created(http, customer, 1_000)

    async def status(method: str, path: str, headers: Mapping[str, str], content: bytes = b"") -> int:
        return (await http.request(method, path, headers={**by(customer), **headers}, content=content)).status_code

    assert await status("PATCH", url, patching(5), b"12345") == 409
    assert await status("PATCH", url, {"upload-offset": "0", "content-type": "text/plain"}, b"1") == 415
    assert await status("PATCH", url, {"content-type": BYTES}, b"1") == 400
    assert await status("PATCH", url, patching(0, **{"upload-checksum": "crc64 AAAA"}), b"1") == 400
    assert await status("PATCH", url, patching(0, **{"upload-checksum": "sha1 !"}), b"1") == 400
    assert await status("PATCH", url, patching(0), bytes(1_001)) == 413
    assert await status("POST", ENDPOINT, {}) == 400
    assert await status("POST", ENDPOINT, {"upload-defer-length": "1"}) == 400
    assert await status("POST", ENDPOINT, {"upload-length": "-1"}) == 400
    assert await status("POST", ENDPOINT, {"upload-length": str(11 * 1024**3)}) == 413
    assert await status("POST", ENDPOINT, {"upload-length": str(2 * 1024**3)}) == 413  # the quota
    assert await status("POST", ENDPOINT, {"upload-length": "1", "upload-metadata": "filename ?"}) == 400
    assert await status("POST", ENDPOINT, {"upload-length": "1", "upload-metadata": named(filename="../a")}) == 400
    assert await status("POST", ENDPOINT, {"upload-length": "1", "upload-metadata": "a " + "A" * 9_000}) == 400
    assert await status("POST", url, {}) == 405
    for path in (f"{ENDPOINT}/{fresh()}", f"{ENDPOINT}/nothing"):
        assert await status("HEAD", path, {}) == 404


@pytest.mark.parametrize(
    ("said", "kept"), [("image/png", "image/png"), ("a\0b", ""), ("text/html\r\n", ""), ("x" * 500, "")]
)
async def test_only_a_type_is_kept_as_the_type_that_is_declared(
    customer: Api, http: httpx.AsyncClient, said: str, kept: str
) -> None:
    headers = by(customer, upload_length="0", upload_metadata=named(filename="a.png", filetype=said))
    answer = await http.post(ENDPOINT, headers=headers)
    assert answer.status_code == 201
    assert (await found(customer, file_id_of(answer.headers["location"]))).declared_type == kept


async def test_what_a_sender_says_last_is_the_method(customer: Api, http: httpx.AsyncClient) -> None:
    """Where something between lets no other methods through."""
    url = await created(http, customer, 3)
    headers = by(customer, x_http_method_override="PATCH") | patching(0)
    assert (await http.post(url, headers=headers, content=b"abc")).status_code == 204
    assert (await found(customer, file_id_of(url))).sha256 == sha256_of(b"abc")


async def test_uploads_are_given_up_and_files_are_not(customer: Api, http: httpx.AsyncClient) -> None:
    url, kept = await created(http, customer, 10), await created(http, customer, 0)
    assert (await http.delete(url, headers=by(customer))).status_code == 204
    assert (await http.head(url, headers=by(customer))).status_code == 404
    assert (await http.delete(kept, headers=by(customer))).status_code == 409
    assert (await found(customer, file_id_of(kept))).size_bytes == 0


async def test_whoever_may_not_upload_is_refused(server: Running, customer: Api, http: httpx.AsyncClient) -> None:
    url = await created(http, customer, 10)
    other = await server.sign_in("customer")
    nobody = await server.sign_in()
    sized = {"upload-length": "1"}
    assert (await http.post(ENDPOINT, headers=sized)).status_code == 401
    assert (await http.post(ENDPOINT, headers=sized | {"authorization": "Bearer no"})).status_code == 401
    assert (await http.post(ENDPOINT, headers=sized | by(nobody))).status_code == 403
    for method in ("HEAD", "PATCH", "DELETE"):
        assert (await http.request(method, url, headers=by(other) | patching(0))).status_code == 404
    assert (await got(customer, file_id_of(url))).received_bytes == 0


async def test_an_upload_goes_on_by_grpc_and_back(customer: Api, http: httpx.AsyncClient) -> None:
    content = content_of(600_000)
    url = await created(http, customer, len(content))
    await http.patch(url, headers=by(customer) | patching(0), content=content[:200_000])
    await written(customer, file_id_of(url), content[:400_000], 200_000)
    assert (await http.head(url, headers=by(customer))).headers["upload-offset"] == "400000"
    await http.patch(url, headers=by(customer) | patching(400_000), content=content[400_000:])
    assert (await found(customer, file_id_of(url))).sha256 == sha256_of(content)


async def test_what_arrived_before_a_break_is_kept(customer: Api, http: httpx.AsyncClient) -> None:
    content = content_of(3_000_000)
    url = await created(http, customer, len(content))

    async def breaking() -> AsyncIterator[bytes]:
        yield content[:1_000_000]
        await asyncio.sleep(0.3)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await http.patch(url, headers=by(customer) | patching(0), content=breaking())
    offset = await stored(customer, url)
    assert offset <= 1_000_000
    answer = await http.patch(url, headers=by(customer) | patching(offset), content=content[offset:])
    assert answer.status_code == 204
    assert (await found(customer, file_id_of(url))).sha256 == sha256_of(content)


async def test_a_sender_that_sends_nothing_is_ended(
    customer: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it sent before is stored."""
    monkeypatch.setattr(tus, "_READ_SECONDS", 0.5)
    url = await created(http, customer, 1_000_000)
    held = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield bytes(300_000)
        await held.wait()

    sending = asyncio.create_task(http.patch(url, headers=by(customer) | patching(0), content=stalling()))
    assert await stored(customer, url) == 300_000
    held.set()
    await asyncio.gather(sending, return_exceptions=True)
    assert (await got(customer, file_id_of(url))).received_bytes == 300_000


async def test_a_link_uploads_for_whoever_made_it_and_no_further(server: Running, http: httpx.AsyncClient) -> None:
    """The upload's own URL is of this upload alone; both end with the account's right to upload."""
    lender, content = await server.sign_in("staff"), content_of(100_000)
    link = await link_of(lender, largest_bytes=200_000)
    assert (await http.post(link, headers={"upload-length": "200001"})).status_code == 413
    answer = await http.post(link, headers={"upload-length": "100000", "upload-metadata": named(filename="b.bin")})
    url = answer.headers["location"]
    assert answer.status_code == 201
    assert (await http.patch(url, headers=patching(0), content=content)).status_code == 204
    (file,) = (await lender.files.ListFiles(pb.ListFilesRequest())).files
    assert (file.owner_id, file.name, file.sha256) == (str(lender.account_id), "b.bin", sha256_of(content))
    for wrong in (link + "A", url + "A", url.replace("continued", "by-link"), link.replace("by-link", "continued")):
        for method in ("POST", "HEAD", "PATCH"):
            answer = await http.request(method, wrong, headers={"upload-length": "1", **patching(0)})
            assert answer.status_code == 401, wrong
    assert (await http.delete(url)).status_code == 409


async def test_a_link_ends_with_its_time_and_with_its_account(database: Database) -> None:
    ahead = timedelta(0)
    async with (
        running(database, passwords=quick_passwords(), now=lambda: datetime.now(UTC) + ahead) as server,
        plain_client(server.http, timeout=60, headers={"tus-resumable": "1.0.0"}) as http,
    ):
        lender, admin = await server.sign_in("staff"), await server.sign_in("admin")
        short, long = await link_of(lender, valid_minutes=1), await link_of(lender, valid_minutes=60)
        sized = {"upload-length": "3"}
        assert (await http.post(short, headers=sized)).status_code == 201
        url = (await http.post(long, headers=sized)).headers["location"]
        ahead = timedelta(seconds=61)
        assert (await http.post(short, headers=sized)).status_code == 401
        assert (await http.post(long, headers=sized)).status_code == 201
        request = access_pb.DisableAccountRequest(request_id=fresh(), account_id=str(lender.account_id))
        await admin.access.DisableAccount(request)
        assert (await http.post(long, headers=sized)).status_code == 401
        assert (await http.patch(url, headers=patching(0), content=b"abc")).status_code == 401


async def test_pages_of_exact_origins_may_upload(database: Database) -> None:
    async with (
        running(database, passwords=quick_passwords(), files_cors_origins=("https://shop.example.com",)) as server,
        plain_client(server.http, timeout=60) as http,
    ):
        for origin, allowed in (("https://shop.example.com", True), ("https://shop.example.com.evil.com", False)):
            asked = {
                "origin": origin,
                "access-control-request-method": "PATCH",
                "access-control-request-headers": "authorization,content-type,tus-resumable,upload-offset",
            }
            answer = await http.options(f"{ENDPOINT}/{fresh()}", headers=asked)
            assert (answer.status_code == 200) == allowed
            assert (answer.headers.get("access-control-allow-origin") == origin) == allowed
            answer = await http.post(ENDPOINT, headers={"origin": origin, "tus-resumable": "1.0.0"})
            assert answer.status_code == 401
            assert (answer.headers.get("access-control-allow-origin") == origin) == allowed
            shown = answer.headers.get("access-control-expose-headers", "")
            assert "upload-offset" in shown
            assert "location" in shown
