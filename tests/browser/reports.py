"""A page that is shown in a real browser and says itself how it went, since the network takes its own time."""

import asyncio
import contextlib
import json
import queue
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.browser.frames import chromium, options

_LONGEST_SECONDS = 300
_REPORT = "/report"
REPORT = f"""
const report = said => fetch("{_REPORT}", {{method: "POST", body: JSON.stringify(said)}});
"""
"""What a page has to say how it went: `report(...)`, once."""
HELP = f"""{REPORT}
addEventListener("error", event => event.message && report({{error: event.message}}));
addEventListener("unhandledrejection", event => report({{error: String(event.reason)}}));
"""
"""The same for a page on which nothing should fail."""


@dataclass
class Site:
    """A web site of one origin, which is not the server's."""

    port: int
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """By their paths, each with its content type."""
    reports: "queue.Queue[Any]" = field(default_factory=queue.Queue)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def shown(self, path: str) -> Any:
        """What the page at a path reports once it is shown in a browser."""
        return await asyncio.to_thread(self._shown, path)

    def _shown(self, path: str) -> Any:
        browser = chromium()
        assert browser is not None, "Chromium is not installed: apt-get install chromium"
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            command = [browser, *options(profile), "--disable-popup-blocking", self.origin + path]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                return self.reports.get(timeout=_LONGEST_SECONDS)
            finally:
                process.terminate()
                process.wait()


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """A site whose files may be added while it is served."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = opened.files.get(self.path)
            self.send_response(200 if found else 404)
            if found:
                self.send_header("content-type", found[0])
            self.end_headers()
            if found:
                self.wfile.write(found[1])

        def do_POST(self) -> None:
            opened.reports.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    opened = Site(server.server_port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield opened
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
