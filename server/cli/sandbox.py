"""`backroom sandbox-provider`: a payment provider of our own, as another company would run it."""

import asyncio
import base64
import binascii
import os
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path

import structlog
import uvloop

from sandbox.request_bodies import Behavior
from sandbox.server import Config, run
from server.frame import log
from server.process.failure import Failure
from server.settings import Address

KEY = "BACKROOM_SANDBOX_KEY"
WEBHOOK_SECRET = "BACKROOM_SANDBOX_WEBHOOK_SECRET"  # noqa: S105 - the variable's name


def sandbox_provider(
    address: str, ledger: Path, webhook_url: str, *, secrets_stdin: bool = False, with_parent: bool = False
) -> None:
    """Serves until it is stopped, and prints its URL once it answers.

    The key and the webhooks' secret are taken from the environment or from standard input: what stands on a command
    line is read by everyone on the machine.
    """
    secrets = _read_secrets() if secrets_stdin else os.environ
    config = _config(address, ledger, webhook_url, secrets, with_parent=with_parent)
    log.configure("INFO", "auto")
    try:
        _run(config, address)
    except Failure as failure:
        if not with_parent:
            raise
        print(failure, flush=True)  # in the place of the URL: the parent says it, in its one line
        sys.exit(1)


def _run(config: Config, address: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(run(config, lambda url: print(url, flush=True), structlog.get_logger()))
        except OSError as error:
            raise Failure(f"{address}, {config.ledger}: {os.strerror(error.errno or 0)}") from None
        except sqlite3.Error as error:
            raise Failure(f"{config.ledger}: {error}") from None


def _read_secrets() -> Mapping[str, str]:
    """The key on the first line and the secret on the second."""
    return {name: sys.stdin.readline().strip() for name in (KEY, WEBHOOK_SECRET)}


def _config(address: str, ledger: Path, webhook_url: str, secrets: Mapping[str, str], *, with_parent: bool) -> Config:
    try:
        parsed = Address(address)
    except ValueError as error:
        raise Failure(f"--address: {error}") from None
    key, secret = secrets.get(KEY, ""), secrets.get(WEBHOOK_SECRET, "")
    if not key or not key.isascii() or not key.isprintable():
        raise Failure(f"{KEY}: set it to the key that callers are to send, of printable ASCII")
    try:
        Behavior(webhook_url=webhook_url)
    except ValueError:
        raise Failure("--webhook-url: must be an http or https URL") from None
    if (webhook_url or secret) and not _is_secret(secret):
        raise Failure(f"{WEBHOOK_SECRET}: set it to the secret that webhooks are signed with: whsec_ and base64")
    return Config(parsed.host, parsed.port, ledger, key, webhook_url, secret, with_parent)


def _is_secret(text: str) -> bool:
    try:
        return text.startswith("whsec_") and bool(base64.b64decode(text.removeprefix("whsec_"), validate=True))
    except binascii.Error:
        return False
