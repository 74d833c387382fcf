"""Pages in frames of a real browser, and which of them ran a script."""

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_BUDGET_MS = 30_000
"""Of the browser's own clock, which goes as fast as it has nothing to do."""
_LONGEST_SECONDS = 600
_RESULT = re.compile(r'<pre id="result">(.*?)</pre>', re.DOTALL)

_HARNESS = """<!doctype html><title>harness</title><body><script>
// Each frame is of this origin, so that its title can be read; one that cannot has gone somewhere else.
const frames = Array.from({length: COUNT}, (_, place) => {
  const frame = document.createElement("iframe");
  frame.src = "/" + place;
  document.body.append(frame);
  return frame;
});
function ran(frame) {
  try {
    if (frame.contentDocument.title === "executed") return true;
    return frame.contentWindow.location.origin !== location.origin;
  } catch { return true; }
}
// What would run once somebody clicks it.
function clicked(frame) {
  try {
    const links = [...frame.contentDocument.querySelectorAll("a")];
    links.filter(link => link.protocol === "javascript:").forEach(link => link.click());
  } catch { /* it has gone somewhere else, and counts as one that ran */ }
}
addEventListener("load", () => setTimeout(() => frames.forEach(clicked), 5000));
addEventListener("load", () => setTimeout(() => {
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify({frames: frames.map(ran), top: document.title === "executed"});
  document.body.append(result);
}, 10000));
</script>"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a browser made of pages."""

    pages: frozenset[int]
    """The places of those that ran a script."""
    top: bool
    """Whether one of them ran a script around it."""


def chromium() -> str | None:
    """Where Chromium is; None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def _served(pages: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The pages, each with its content type, and the harness around them; without any policy of ours."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = self.path[1:]
            kind, text = "text/html; charset=utf-8", _HARNESS.replace("COUNT", str(len(pages)))
            if place.isdecimal() and int(place) < len(pages):
                kind, text = pages[int(place)]
            found = not place or place.isdecimal()
            self.send_response(200 if found else 404)
            self.send_header("content-type", kind)
            self.end_headers()
            if found:
                self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def options(profile: str) -> Sequence[str]:
    """How Chromium is started without a window, and without asking anybody for anything."""
    quiet = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
    return (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        *quiet,
        f"--user-data-dir={profile}",
    )


async def shown(pages: Sequence[tuple[str, str]]) -> Ran:
    """Shows pages, each with its content type, in a browser, and says which of them ran a script."""
    return await asyncio.to_thread(_shown, pages)


def _shown(pages: Sequence[tuple[str, str]]) -> Ran:
    browser = chromium()
    assert browser is not None, "Chromium is not installed: apt-get install chromium"
    with _served(pages) as url, tempfile.TemporaryDirectory() as profile:
        command = [browser, *options(profile), "--dump-dom", f"--virtual-time-budget={_BUDGET_MS}", url]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=True)
    found = _RESULT.search(ended.stdout)
    assert found is not None, f"the browser said nothing: {ended.stdout[-500:]} {ended.stderr[-500:]}"
    said = json.loads(unescape(found[1]))
    return Ran(frozenset(place for place, ran in enumerate(said["frames"]) if ran), said["top"])
