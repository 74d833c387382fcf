"""The provider's webhooks: signed, sent until they are accepted, and sent again after a kill."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.fixtures.sandbox import SandboxProcess, providing
from tests.sandbox.merchant import Merchant, reserved_port

pytestmark = pytest.mark.slow


@pytest.fixture
async def merchant() -> AsyncIterator[Merchant]:
    """It verifies the signature of every webhook."""
    async with Merchant().listening() as listening:
        yield listening


async def paid(sandbox: SandboxProcess) -> dict[str, Any]:
    """A payment that is authorized and captured: two events."""
    body = {"amount": "1.5", "currency": "GBP", "reference": "ref"}
    keyed = {"idempotency-key": str(uuid4())}
    payment = (await sandbox.control.post("/v1/payments", json=body, headers=keyed)).json()
    captured: dict[str, Any] = (await sandbox.control.post(f"/v1/payments/{payment['id']}/capture")).json()
    return captured


async def nothing_left(sandbox: SandboxProcess) -> None:
    """Lets the process finish its work; after that its outbox is empty."""
    assert await sandbox.terminate() == 0
    assert rows(sandbox.ledger, "SELECT count(*) FROM outbox") == [(0,)]


def rows(ledger: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute(query).fetchall()


async def test_each_change_is_sent_as_it_was_then(sandbox: SandboxProcess, merchant: Merchant) -> None:
    """One signed request each, whose id is the event's; a repeated request sends nothing more."""
    await sandbox.behave(webhook_url=merchant.url)
    captured = await paid(sandbox)
    await sandbox.control.post(f"/v1/payments/{captured['id']}/capture")
    path, keyed = f"/v1/payments/{captured['id']}/refunds", {"idempotency-key": "r"}
    for _ in range(2):
        refunded = (await sandbox.control.post(path, json={"amount": "0.5"}, headers=keyed)).json()
    await merchant.heard(3)
    await nothing_left(sandbox)
    received = {body["type"]: body["data"] for _, body in merchant.received}
    authorized = {**captured, "status": "authorized", "captured": "0.000000000"}
    assert received == {
        "payment.authorized": authorized,
        "payment.captured": captured,
        "payment.refunded": refunded,
    }
    assert [event_id for event_id, _ in merchant.received] == [body["id"] for _, body in merchant.received]
    assert len(merchant.received) == 3


async def test_copies_arrive_in_any_order(sandbox: SandboxProcess, merchant: Merchant) -> None:
    """Each three times under one id and with one content, and later changes before earlier ones."""
    await sandbox.behave(webhook_url=merchant.url, webhook_copies=3, webhook_shuffle=True)
    for _ in range(10):
        await paid(sandbox)
    await merchant.heard(60)
    await nothing_left(sandbox)
    assert [*Counter(event_id for event_id, _ in merchant.received).values()] == [3] * 20
    assert len({str(received) for received in merchant.received}) == 20
    created = [body["created"] for _, body in merchant.received]
    assert created != sorted(created)


async def test_an_event_is_sent_until_it_is_accepted(sandbox: SandboxProcess, merchant: Merchant) -> None:
    """Under the same id; only a 2xx counts."""
    merchant.answers = [500, 404, 302]
    await sandbox.behave(webhook_url=merchant.url)
    body = {"amount": "1", "currency": "GBP"}
    await sandbox.control.post("/v1/payments", json=body, headers={"idempotency-key": "a"})
    await merchant.heard(4)
    await nothing_left(sandbox)
    assert len(merchant.received) == 4
    assert len({event_id for event_id, _ in merchant.received}) == 1


async def test_a_merchant_that_was_unreachable_receives_everything(sandbox: SandboxProcess) -> None:
    """Each event once, as soon as it is reachable again."""
    port = reserved_port()
    await sandbox.behave(webhook_url=f"http://127.0.0.1:{port}/hook")
    for _ in range(3):
        await paid(sandbox)
    async with Merchant().listening(port) as merchant:
        await merchant.heard(6)
        await nothing_left(sandbox)
        assert len({event_id for event_id, _ in merchant.received}) == len(merchant.received) == 6


async def test_a_kill_between_the_change_and_the_sending_loses_nothing(tmp_path: Path, merchant: Merchant) -> None:
    """The next process sends what the killed one had not."""
    ledger = tmp_path / "ledger.sqlite"
    async with providing(ledger, webhook_url=merchant.url) as killed:
        await killed.behave(webhook_delay=[60, 60])
        captured = await paid(killed)
        await killed.kill()
    assert merchant.received == []
    async with providing(ledger, webhook_url=merchant.url) as next_one:
        await merchant.heard(2)
        assert (await next_one.control.get(f"/v1/payments/{captured['id']}")).json() == captured
        await nothing_left(next_one)
    assert {body["type"]: body["data"]["captured"] for _, body in merchant.received} == {
        "payment.authorized": "0.000000000",
        "payment.captured": "1.500000000",
    }


async def test_a_kill_before_the_response_loses_nothing(tmp_path: Path, merchant: Merchant) -> None:
    """An event that the merchant may not have accepted is sent again, under the same id."""
    ledger = tmp_path / "ledger.sqlite"
    merchant.answering.clear()
    async with providing(ledger, webhook_url=merchant.url) as killed:
        await paid(killed)
        await merchant.heard(2)
        await killed.kill()
    merchant.answering.set()
    async with providing(ledger, webhook_url=merchant.url) as next_one:
        await merchant.heard(4)
        await nothing_left(next_one)
    assert [*Counter(event_id for event_id, _ in merchant.received).values()] == [2, 2]


async def test_a_kill_under_load_loses_nothing(tmp_path: Path, merchant: Merchant) -> None:
    """Every answered change is in the ledger, and each entry of the ledger is sent."""
    ledger = tmp_path / "ledger.sqlite"
    answered: list[dict[str, Any]] = []
    async with providing(ledger, webhook_url=merchant.url) as killed:

        async def traffic() -> None:
            while True:
                answered.append(await paid(killed))

        paying = [asyncio.create_task(traffic()) for _ in range(4)]
        await merchant.heard(50)
        await killed.kill()
        await asyncio.gather(*paying, return_exceptions=True)
    changes = set(rows(ledger, "SELECT payment_id, 'payment.' || kind FROM entries WHERE kind <> 'created'"))
    assert changes >= {(payment["id"], "payment.captured") for payment in answered}
    async with providing(ledger, webhook_url=merchant.url) as next_one:
        await merchant.heard_of(changes)
        await nothing_left(next_one)
    assert merchant.changes == changes
