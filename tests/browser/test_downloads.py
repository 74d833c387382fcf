"""A stored script, by every way to download it, in a real browser: it never runs."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from backroom.files.v1 import file_service_pb2 as pb
from storage.database import Database
from tests.browser.reports import REPORT, Site, site
from tests.files.calling import fresh, uploaded
from tests.files.images import drawn
from tests.fixtures.http import plain_client
from tests.fixtures.s3 import ACCESS_KEY, S3, SECRET_KEY
from tests.fixtures.servers import Api, Running, quick_passwords, running
from tests.fixtures.trading import eventually

pytestmark = pytest.mark.browser

_SETTLED_MS = 8_000
_SCRIPT = (
    "for (const each of [self.parent, self.top, self.opener])"
    " {{ try {{ each && each.postMessage('ran {name}', '*') }} catch {{}} }}"
    " try {{ self.postMessage('ran {name}') }} catch {{}}"
)
_HTML, _SVG, _XHTML, _JS = "text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript"


@dataclass(frozen=True)
class Payload:
    """A content that runs a script where a browser takes it for its kind."""

    kind: str
    content: bytes


def payloads() -> Mapping[str, Payload]:
    def script(name: str) -> str:
        return _SCRIPT.format(name=name)

    svg, xhtml = 'xmlns="http://www.w3.org/2000/svg"', 'xmlns="http://www.w3.org/1999/xhtml"'
    escaped = script("xhtml").replace("&", "&amp;")
    gif = drawn("GIF")[8:].replace(b"*/", b"")
    return {
        "page": Payload(_HTML, f"<!doctype html><script>{script('page')}</script>".encode()),
        "event": Payload(_HTML, f'<img src=x onerror="{script("event")}">'.encode()),
        "plain": Payload(_HTML, f"Some text.\n<script>{script('plain')}</script>".encode()),
        "svg": Payload(_SVG, f"<svg {svg}><script>//<![CDATA[\n{script('svg')}//]]></script></svg>".encode()),
        "xhtml": Payload(_XHTML, f"<?xml version='1.0'?><html {xhtml}><script>{escaped}</script></html>".encode()),
        "script": Payload(_JS, script("script").encode()),
        "polyglot": Payload(_JS, b"GIF89a=0;/*" + gif + b"*/" + script("polyglot").encode()),
        "picture": Payload(_HTML, drawn("PNG") + f"<script>{script('picture')}</script>".encode()),
    }


_PAGE = """<!doctype html><body><script>
REPORT
const ran = new Set(), statuses = [], urls = URLS;
addEventListener("message", event => { if (String(event.data).startsWith("ran ")) ran.add(event.data.slice(4)); });
function put(tag, values) {
  const element = Object.assign(document.createElement(tag), values);
  document.body.append(element);
  return element;
}
for (const url of urls) {
  put("iframe", {src: url});
  put("object", {data: url});
  put("object", {data: url, type: "text/html"});
  put("embed", {src: url, type: "image/svg+xml"});
  put("script", {src: url});
  put("script", {src: url, type: "module"});
  put("img", {src: url});
  put("link", {rel: "stylesheet", href: url});
  put("video", {src: url});
  window.open(url);
  put("iframe", {srcdoc: `<meta http-equiv="refresh" content="0;url=${url}">`});
  const target = "target" + Math.random();
  put("iframe", {name: target});
  put("form", {action: url, target, method: "get"}).submit();
  put("a", {href: url, target: "_blank", rel: "opener"}).click();
  import(url).catch(() => {});
  try { new Worker(url).onmessage = event => ran.add(event.data.slice(4)); } catch {}
  statuses.push(fetch(url).then(answer => answer.status, error => String(error)));
}
Promise.all(statuses).then(said => setTimeout(() => report({ran: [...ran].sort(), statuses: said}), SETTLED));
</script>"""


@pytest.fixture
def harness() -> Iterator[Site]:
    with site() as opened:
        yield opened


async def tried(harness: Site, urls: list[str]) -> Any:
    """What a page reports that shows these URLs in every way there is."""
    page = _PAGE
    for name, value in (("REPORT", REPORT), ("URLS", json.dumps(urls)), ("SETTLED", str(_SETTLED_MS))):
        page = page.replace(name, value)
    harness.files["/"] = "text/html; charset=utf-8", page.encode()
    return await harness.shown("/")


@asynccontextmanager
async def serving(database: Database, url: str, harness: Site, **parts: Any) -> AsyncIterator[Running]:
    """A server that serves what nobody scanned, and whose files the harness may read."""
    given = {"files_scanner": "none", "files_cors_origins": (harness.origin,), **parts}
    async with running(database, jobs_on=url, passwords=quick_passwords(), **given) as opened:
        yield opened


async def links_of(server: Running, api: Api) -> list[str]:
    """Links to each of the payloads, by names that lie about them and by ones that do not."""
    found = []
    for name, payload in payloads().items():
        ending = {_HTML: "html", _SVG: "svg", _XHTML: "xhtml", _JS: "js"}[payload.kind]
        file = await uploaded(api, payload.content, f"{name}.{ending}", declared_type=payload.kind)
        request = pb.CreateDownloadLinkRequest(request_id=fresh(), file_id=file.file_id)

        async def link(request: pb.CreateDownloadLinkRequest = request) -> str:
            try:
                path: str = (await api.files.CreateDownloadLink(request)).path
            except Exception:  # noqa: BLE001 - it is not scanned yet
                return ""
            return path

        found.append(server.http + await eventually(link, bool, within=60))
    return found


async def test_the_harness_notices_what_runs(harness: Site) -> None:
    """The same contents, as any web server would hand them out, all run."""
    for name, payload in payloads().items():
        harness.files[f"/raw/{name}"] = payload.kind, payload.content
    said = await tried(harness, [f"/raw/{name}" for name in payloads()])
    assert said["ran"] == sorted(payloads())


async def test_no_stored_script_runs_by_any_way_to_download_it(
    database: Database, database_url: str, harness: Site
) -> None:
    async with serving(database, database_url, harness) as server:
        urls = await links_of(server, await server.sign_in("customer"))
        said = await tried(harness, urls)
    assert said == {"ran": [], "statuses": [200] * len(urls)}


async def test_no_stored_script_runs_where_a_link_leads_to_the_storage(
    database: Database, database_url: str, harness: Site, s3: S3
) -> None:
    """A real server of S3, which answers itself, without our headers."""
    storage = {
        "files_storage": s3.environment["BACKROOM_FILES_STORAGE"],
        "files_s3_endpoint": s3.endpoint,
        "files_s3_access_key": ACCESS_KEY,
        "files_s3_secret_key": SECRET_KEY,
    }
    async with (
        serving(database, database_url, harness, files_redirect=True, **storage) as server,
        plain_client(timeout=60, follow_redirects=True) as http,
    ):
        urls = await links_of(server, await server.sign_in("customer"))
        for url, payload in zip(urls, payloads().values(), strict=True):
            answer = await http.get(url)
            assert ([each.status_code for each in answer.history], answer.content) == ([307], payload.content)
            assert str(answer.url).startswith(s3.endpoint)
            assert answer.headers["content-type"] == "image/vnd.backroom.opaque"
            assert answer.headers["content-disposition"].startswith("attachment")
        said = await tried(harness, urls)
    assert said["ran"] == []
    assert len(said["statuses"]) == len(urls)
