"""The payment provider of a first run: a sandbox of this server's own, next to the embedded database."""

import base64
import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import httpx

from server.commerce.settings import CommerceSettings
from server.process.data_dir.private_file import write_private, write_private_once
from server.process.failure import Failure
from server.process.program import this_program
from server.settings import Settings
from server.webhooks.settings import WebhooksSettings

_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where a sandbox answers, and the secrets that it shares with this server."""

    url: str
    key: str = field(repr=False)
    webhook_secret: str = field(repr=False)

    async def set_webhook_url(self, webhook_url: str) -> None:
        """Has it send its webhooks to this server."""
        headers = {"authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False) as client:
            (await client.post("/v1/behavior", json={"webhook_url": webhook_url})).raise_for_status()


@contextmanager
def own_sandbox(configured: Settings) -> Iterator["StartedSandbox | None"]:
    """A sandbox that runs as long as the block; None where the settings name a provider, a database, or no commerce."""
    commerce = configured.of(CommerceSettings)
    wanted = commerce.payment_provider in (None, "sandbox") and "commerce" in configured.modules
    if not configured.embedded or not wanted or commerce.sandbox_url:
        yield None
        return
    started = StartedSandbox(configured.data_dir.absolute())
    try:
        yield started
    finally:
        started.stop()


def running_sandbox(configured: Settings) -> Sandbox | None:
    """The one that a server with the same data folder has started last; None where there is none."""
    kept = _read(_path(configured.data_dir))
    return kept if kept is not None and kept.url else None


def with_sandbox(configured: Settings, sandbox: Sandbox | None) -> Settings:
    """The settings by which payments are made with the local sandbox, where one runs."""
    if sandbox is None:
        return configured
    commerce, webhooks = configured.of(CommerceSettings), configured.of(WebhooksSettings)
    paying = {"payment_provider": commerce.payment_provider or "sandbox"}
    reached = {"sandbox_url": sandbox.url, "sandbox_key": sandbox.key}
    return configured.having(
        commerce.model_copy(update={**paying, **reached}),
        webhooks.model_copy(update={"sandbox_webhook_secret": sandbox.webhook_secret}),
    )


def with_running_sandbox(configured: Settings) -> Settings:
    """The same for a command next to a running server, with the sandbox that the server has started last."""
    local = configured.embedded and not configured.of(CommerceSettings).sandbox_url
    return with_sandbox(configured, running_sandbox(configured)) if local else configured


class StartedSandbox:
    """A child process; it becomes ready while the database does."""

    def __init__(self, data_dir: Path) -> None:
        self._path = _path(data_dir)
        self._kept = _kept(self._path)
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
        with suppress(BrokenPipeError):  # it has ended, and says why
            self._process.stdin.write(f"{self._kept.key}\n{self._kept.webhook_secret}\n")
            self._process.stdin.close()

    def ready(self) -> Sandbox:
        """Waits until it answers; raises Failure where it ended instead."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = self._process.stdout.readline().strip()
        if not line.startswith("http"):
            raise Failure(
                f"BACKROOM_DATA_DIR: the sandbox payment provider does not start: {line or 'it ended'};"
                " fix that, or do without by BACKROOM_PAYMENT_PROVIDER=none"
            )
        sandbox = replace(self._kept, url=line)
        write_private(self._path, json.dumps(asdict(sandbox)), durable=False)  # another URL at each start
        return sandbox

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _path(data_dir: Path) -> Path:
    return data_dir / "sandbox.json"


def _kept(path: Path) -> Sandbox:
    """The secrets that are kept from the last time, or new ones; of two simultaneous first starts, both have the
    same."""
    kept = _read(path)
    if kept is not None:
        return kept
    path.unlink(missing_ok=True)  # it contains nothing that could be read
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    write_private_once(path, json.dumps(asdict(Sandbox("", secrets.token_urlsafe(32), secret))))
    return _read(path) or _kept(path)


def _read(path: Path) -> Sandbox | None:
    """None where there is none, or what is there was not written by this."""
    try:
        return Sandbox(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
