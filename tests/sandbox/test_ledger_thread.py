"""The ledger under concurrent use."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest

from sandbox.ledger import Answer, Ledger
from sandbox.ledger_thread import LedgerThread


@pytest.fixture
async def ledger_thread(tmp_path: Path) -> AsyncIterator[LedgerThread]:
    ids = count()
    opened = LedgerThread(lambda: Ledger(tmp_path / "ledger.sqlite", lambda: datetime.now(UTC), lambda: str(next(ids))))
    await opened.open()
    yield opened
    await opened.close()


def payment(ledger: Ledger) -> Answer:
    return ledger.authorize("ref", "GBP", Decimal(1), "", "")


async def test_an_action_that_fails_leaves_nothing_behind(ledger_thread: LedgerThread) -> None:
    """The others in the same commit succeed."""

    def fail(ledger: Ledger) -> None:
        payment(ledger)
        raise LookupError("in the middle")

    acts = [payment, fail, payment]
    results = await asyncio.gather(*(ledger_thread.do(act) for act in acts), return_exceptions=True)
    assert isinstance(results[1], LookupError)
    assert await ledger_thread.do(lambda ledger: ledger.list("", 10)) == [results[0], results[2]]


async def test_an_action_whose_caller_has_gone_is_done(ledger_thread: LedgerThread) -> None:
    """The caller may find its result later."""
    abandoned = asyncio.create_task(ledger_thread.do(payment))
    await asyncio.sleep(0)
    abandoned.cancel()
    assert len(await ledger_thread.do(lambda ledger: ledger.list("", 10))) == 1


async def test_nothing_is_stored_if_the_commit_fails(ledger_thread: LedgerThread) -> None:
    """As with a full disk: all callers get an error, and the ledger works again once there is space."""

    def room(ledger: Ledger, pages: int) -> None:
        ledger.connection.execute(f"PRAGMA max_page_count = {pages}")

    await ledger_thread.do(lambda ledger: room(ledger, 1))
    fillers = [ledger_thread.do(payment) for _ in range(200)]
    results = await asyncio.gather(*fillers, return_exceptions=True)
    assert any(isinstance(result, sqlite3.OperationalError) for result in results)
    await ledger_thread.do(lambda ledger: room(ledger, 1_000_000))
    made = [result for result in results if not isinstance(result, BaseException)]
    assert await ledger_thread.do(lambda ledger: ledger.list("", 1000)) == made
    assert await ledger_thread.do(payment)
