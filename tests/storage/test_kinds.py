"""What mypy enforces: a use case cannot use another module's store, and a reading cannot change anything."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SNIPPET = '''
from server.frame.answers import DONE
from server.frame.repeating import once
from storage.commerce.store import CommerceStore, CommerceTransaction
from storage.frame.records import ChangeContext
from storage.store import FrameStore
from storage.webhooks.store import WebhooksStore, WebhooksTransaction


class Trade:
    """A use case of commerce."""

    def __init__(self, store: CommerceStore) -> None:
        self._store = store

    async def change(self) -> None:
        async with self._store.transaction() as tx:
            await tx.products.add([])
            await tx.inbox.find("stripe", "evt_1")
            await tx.endpoints.count()  # foreign
            await tx.accounts.find_by_email("ada@example.com")  # foreign

    async def change_once(self, context: ChangeContext) -> None:
        async def act(tx: CommerceTransaction) -> None:
            await tx.products.add([])
            await tx.endpoints.count()  # foreign

        async def act_for_webhooks(tx: WebhooksTransaction) -> None:
            await tx.endpoints.count()

        await once(self._store, context, DONE, act, "product/TEA")
        await once(self._store, context, DONE, act_for_webhooks, "endpoint/1")  # foreign

    async def read(self) -> None:
        async with self._store.reading() as reading:
            await reading.products.find_by_sku("TEA")
            await reading.products.add([])  # write
            await reading.products.lock_by_sku(["TEA"])  # write
            await reading.audit.record([])  # write
            await reading.requests.claim([])  # write
            await reading.events.publish([])  # write
            await reading.wait_for_standby()  # write
            await reading.deliveries.list_due([], None, each=1)  # foreign
        async with self._store.snapshot_reading() as reading:
            await reading.orders.change([])  # write
        async with self._store.dedicated_reading() as reading:
            await reading.stock.move([])  # write


def frame(store: FrameStore) -> None: ...


def built(commerce: CommerceStore, webhooks: WebhooksStore) -> None:
    Trade(commerce)
    frame(commerce)
    Trade(webhooks)  # foreign
'''

CONFIG = """
[mypy]
strict = true
python_version = 3.11
[mypy-sqlalchemy.*,procrastinate.*,psycopg.*,psycopg_pool.*,orjson.*,uuid_utils.*,grpc.*,google.*,pydantic.*]
follow_imports = skip
[mypy-storage.*,server.*]
ignore_errors = true
"""
"""Without the modules that the stores and the frame import, which would take most of the time."""


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, str]:
    """The lines of the snippet that mypy rejects, each with its message."""
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "snippet.py").write_text(SNIPPET)
    (folder / "mypy.ini").write_text(CONFIG)
    checking = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", "cache", "snippet.py"]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(checking, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    found = re.findall(r"^snippet\.py:(\d+): error: (.*)$", done.stdout, re.MULTILINE)
    assert len(found) == done.stdout.count(": error:"), done.stdout
    return {int(line): said for line, said in found}


def marked(mark: str) -> set[int]:
    return {number for number, line in enumerate(SNIPPET.splitlines(), 1) if line.endswith(f"# {mark}")}


def test_a_use_case_of_commerce_cannot_use_other_modules_stores(refused: Mapping[int, str]) -> None:
    """It has its own repositories and the frame's, and others are rejected, whole stores too."""
    assert set(refused) - marked("write") == marked("foreign")
    assert all(
        "has no attribute" in refused[line] or "incompatible type" in refused[line] for line in marked("foreign")
    )


def test_a_write_in_a_reading_is_rejected(refused: Mapping[int, str]) -> None:
    """So is a lock, which others would wait for."""
    assert set(refused) - marked("foreign") == marked("write")
    assert all("has no attribute" in refused[line] for line in marked("write"))
