"""The process: how it starts, and how it ends."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from server.cli.sandbox import sandbox_provider
from server.process.failure import Failure
from tests.fixtures.sandbox import KEY, WEBHOOK_SECRET, SandboxProcess
from tests.sandbox.merchant import Merchant

pytestmark = pytest.mark.slow

COMMAND = (sys.executable, "-m", "server", "sandbox-provider", "--address", "127.0.0.1:0")
KEY_SET = {"BACKROOM_SANDBOX_KEY": KEY}
PARENT = """
import subprocess, sys
subprocess.run(sys.argv[1:])
"""


async def started(*command: str, **environment: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BACKROOM_SANDBOX")}
    return await asyncio.create_subprocess_exec(
        *command, env={**kept, **environment}, stdin=pipe, stdout=pipe, stderr=pipe
    )


async def test_a_stop_does_not_wait_for_slow_answers(sandbox: SandboxProcess) -> None:
    """They are given immediately, and the process exits cleanly."""
    async with Merchant().listening() as merchant:
        await sandbox.behave(delay=600, webhook_url=merchant.url)
        body = {"amount": "1", "currency": "GBP"}
        keyed = {"idempotency-key": "a"}
        asking = asyncio.create_task(sandbox.control.post("/v1/payments", json=body, headers=keyed))
        await merchant.heard(1)
        assert not asking.done()
        assert await sandbox.terminate() == 0
        assert (await asking).json()["status"] == "authorized"


async def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """Even if that is killed, and cannot notify it."""
    ledger = ("--ledger", str(tmp_path / "ledger.sqlite"))
    parent = await started(sys.executable, "-c", PARENT, *COMMAND, *ledger, "--with-parent", BACKROOM_SANDBOX_KEY=KEY)
    assert parent.stdout is not None
    assert (await asyncio.wait_for(parent.stdout.readline(), 300)).startswith(b"http://127.0.0.1:")
    parent.kill()
    # The pipe ends when the last process that writes to it does.
    assert await asyncio.wait_for(parent.stdout.read(), 300) == b""
    await parent.wait()


async def test_secrets_can_be_passed_on_standard_input(tmp_path: Path) -> None:
    """The key and the webhook secret, a line each; never on the command line."""
    process = await started(*COMMAND, "--ledger", str(tmp_path / "l"), "--webhook-url", "http://a/", "--secrets-stdin")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{KEY}\n{WEBHOOK_SECRET}\n".encode())
    assert (await asyncio.wait_for(process.stdout.readline(), 300)).startswith(b"http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 300) == 0


@pytest.mark.parametrize(
    ("address", "webhook_url", "environment", "said"),
    [
        ("127.0.0.1:0", "", {}, "BACKROOM_SANDBOX_KEY: set it"),
        ("127.0.0.1:0", "", {"BACKROOM_SANDBOX_KEY": "\n"}, "BACKROOM_SANDBOX_KEY: set it"),
        ("127.0.0.1:0", "http://a/", KEY_SET, "BACKROOM_SANDBOX_WEBHOOK_SECRET: set it"),
        ("127.0.0.1:0", "", {**KEY_SET, "BACKROOM_SANDBOX_WEBHOOK_SECRET": "whsec_?"}, "SECRET: set it"),
        ("127.0.0.1:0", "a", KEY_SET, "--webhook-url: must be"),
        ("a", "", KEY_SET, "--address: must be"),
    ],
)
def test_a_setting_that_is_missing_or_malformed_is_named(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    address: str,
    webhook_url: str,
    environment: dict[str, str],
    said: str,
) -> None:
    """Before anything is started."""
    for name in ("BACKROOM_SANDBOX_KEY", "BACKROOM_SANDBOX_WEBHOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Failure, match=said):
        sandbox_provider(address, tmp_path / "books" / "ledger.sqlite", webhook_url)
    assert not (tmp_path / "books").exists()


async def test_an_invalid_ledger_is_reported_in_one_line(tmp_path: Path) -> None:
    """With exit code 1, and it is not changed."""
    (tmp_path / "notes").write_text("not a database\n" * 100)
    process = await started(*COMMAND, "--ledger", str(tmp_path / "notes"), BACKROOM_SANDBOX_KEY=KEY)
    out, error = await asyncio.wait_for(process.communicate(), 300)
    assert (process.returncode, out) == (1, b"")
    assert error.decode() == f"backroom: {tmp_path / 'notes'}: file is not a database\n"


async def test_a_used_address_is_reported_in_one_line(sandbox: SandboxProcess, tmp_path: Path) -> None:
    """A second provider does not start."""
    address = ("--address", sandbox.url.removeprefix("http://"))
    process = await started(*COMMAND, *address, "--ledger", str(tmp_path / "other"), BACKROOM_SANDBOX_KEY=KEY)
    out, error = await asyncio.wait_for(process.communicate(), 300)
    assert (process.returncode, out) == (1, b"")
    assert "Address already in use" in error.decode()
