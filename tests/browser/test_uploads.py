"""Uppy and tus-js-client, unmodified, on a page of another origin in a real browser."""

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from backroom.files.v1 import file_service_pb2 as pb
from storage.database import Database
from tests.browser.reports import HELP, Site, site
from tests.clients.files.conftest import PROGRAMS
from tests.clients.npm import installed
from tests.files.calling import content_of, fresh, sha256_of
from tests.fixtures.servers import Api, Running, quick_passwords, running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm, which installs Uppy, is not installed"),
]

_CONTENT = content_of(1_500_000)
_UPPY = """<!doctype html><script type="module">
HELP
import {Uppy, Tus} from "/uppy.mjs";
const content = await (await fetch("/content")).blob();
const uppy = new Uppy().use(Tus, {endpoint: ENDPOINT, headers: HEADERS, chunkSize: 400000});
uppy.addFile({name: "Übung.bin", type: "application/octet-stream", data: content});
uppy.addFile({name: "second.bin", type: "application/octet-stream", data: content.slice(0, 1000)});
const result = await uppy.upload();
report({successful: result.successful.length, failed: result.failed.map(each => String(each.error))});
</script>"""
_TUS = """<!doctype html><script src="/tus.js"></script><script type="module">
HELP
const content = await (await fetch("/content")).blob();
const upload = new tus.Upload(content, {
  endpoint: ENDPOINT, headers: HEADERS, chunkSize: 400000, metadata: {filename: "Übung.bin"},
  onError: error => report({error: String(error)}),
  onSuccess: () => report({successful: 1, failed: []}),
});
upload.start();
</script>"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    """A web site with both clients, as npm has them."""
    modules = installed(PROGRAMS, tmp_path / "node") / "node_modules"
    with site() as opened:
        opened.files["/uppy.mjs"] = "text/javascript", (modules / "uppy" / "dist" / "uppy.min.mjs").read_bytes()
        opened.files["/tus.js"] = "text/javascript", (modules / "tus-js-client" / "dist" / "tus.min.js").read_bytes()
        opened.files["/content"] = "application/octet-stream", _CONTENT
        yield opened


@pytest.fixture
async def server(database: Database, shop: Site) -> AsyncIterator[Running]:
    async with running(database, passwords=quick_passwords(), files_cors_origins=(shop.origin,)) as opened:
        yield opened


def put(shop: Site, page: str, endpoint: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for name, value in (("HELP", HELP), ("ENDPOINT", json.dumps(endpoint)), ("HEADERS", json.dumps(headers))):
        page = page.replace(name, value)
    shop.files["/"] = "text/html; charset=utf-8", page.encode()


@pytest.mark.parametrize("by_link", [False, True])
@pytest.mark.parametrize(("page", "names"), [(_UPPY, {"Übung.bin", "second.bin"}), (_TUS, {"Übung.bin"})])
async def test_a_page_of_an_allowed_origin_uploads(
    server: Running, customer: Api, shop: Site, page: str, names: set[str], by_link: bool
) -> None:
    """With a token, and by a signed link without one."""
    path, token = "/files/uploads", customer.token or ""
    if by_link:
        request = pb.CreateUploadLinkRequest(request_id=fresh())
        path, token = (await customer.files.CreateUploadLink(request)).path, ""
    put(shop, page, server.http + path, token)
    assert await shop.shown("/") == {"successful": len(names), "failed": []}
    files = {file.name: file for file in (await customer.files.ListFiles(pb.ListFilesRequest())).files}
    assert {*files} == names
    assert files["Übung.bin"].sha256 == sha256_of(_CONTENT)


async def test_a_page_of_another_origin_does_not(server: Running, customer: Api, shop: Site) -> None:
    with site() as stranger:
        stranger.files.update(shop.files)
        put(stranger, _TUS, f"{server.http}/files/uploads", customer.token or "")
        assert "error" in await stranger.shown("/")
    assert not (await customer.files.ListFiles(pb.ListFilesRequest())).files
