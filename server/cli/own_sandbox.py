"""The payment provider of a first run: a sandbox of this server's own, beside the embedded database."""

import base64
import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

from server.cli.failure import Failure
from server.cli.private_file import write_private
from server.cli.this_program import this_program
from server.settings import Settings

_STOPPED_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where a sandbox answers, and the secrets that it shares with this server."""

    url: str
    key: str = field(repr=False)
    webhook_secret: str = field(repr=False)

    async def tell(self, webhook_url: str) -> None:
        """Has it send its webhooks to this server."""
        headers = {"authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False) as client:
            (await client.post("/v1/behaviour", json={"webhook_url": webhook_url})).raise_for_status()


@contextmanager
def own_sandbox(configured: Settings) -> Iterator["StartedSandbox | None"]:
    """A sandbox that runs as long as the block; None where the settings name a provider, a database, or no commerce."""
    wanted = configured.payment_provider in (None, "sandbox") and "commerce" in configured.modules
    if not configured.embedded or not wanted or configured.sandbox_url:
        yield None
        return
    started = StartedSandbox(configured.data_dir.absolute())
    try:
        yield started
    finally:
        started.stop()


def running_sandbox(configured: Settings) -> Sandbox | None:
    """The one that a server with the same data folder has started last; None where there is none."""
    path = _path(configured.data_dir)
    return Sandbox(**json.loads(path.read_text())) if path.exists() else None


class StartedSandbox:
    """A child process; it becomes ready while the database does."""

    def __init__(self, data_dir: Path) -> None:
        self._path = _path(data_dir)
        kept = json.loads(self._path.read_text()) if self._path.exists() else {}
        self._key = kept.get("key") or secrets.token_urlsafe(32)
        self._secret = kept.get("webhook_secret") or f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        data_dir.mkdir(parents=True, exist_ok=True)
        command = this_program("sandbox-provider", "--address", "127.0.0.1:0")
        self._process = subprocess.Popen(  # noqa: S603 - this very program
            [*command, "--ledger", str(data_dir / "sandbox.sqlite"), "--secrets-stdin", "--with-parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C is the server's to handle: it stops the sandbox when it is done with it.
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(f"{self._key}\n{self._secret}\n")
        self._process.stdin.close()

    def ready(self) -> Sandbox:
        """Waits until it answers; raises Failure where it ended instead."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        url = self._process.stdout.readline().strip()
        if not url:
            raise Failure("the sandbox payment provider does not start; BACKROOM_PAYMENT_PROVIDER=none does without")
        sandbox = Sandbox(url, self._key, self._secret)
        write_private(self._path, json.dumps(asdict(sandbox)))
        return sandbox

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _path(data_dir: Path) -> Path:
    return data_dir / "sandbox.json"
