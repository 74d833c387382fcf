"""The checker finds every fault: each test plants one in books that are otherwise complete."""

import asyncio
import copy
import shutil
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast
from uuid import uuid4

import psycopg
import pytest

from backroom.webhooks.v1 import endpoints_pb2
from backroom.webhooks.v1.webhook_service_pb2 import CreateEndpointRequest
from backroom_client import AsyncBackroom
from storage.database import Database
from storage.url import parameters, sibling
from tests.commerce.books import run
from tests.failover.book import Attempt, Book, Kind, Outcome
from tests.failover.callers import Crowd, open_shop
from tests.failover.checker import Checker, Verdict, kept_in
from tests.failover.waiting import comes_true, now
from tests.failover.watchers import Watcher
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.postgres import migrated
from tests.fixtures.sandbox import providing_here
from tests.fixtures.trading import trading
from tests.webhooks.outgoing import LOOPBACK, Subscriber, subscriber

TRADED = {Kind.ORDER, Kind.CANCEL, Kind.ADJUST, Kind.PAYMENT}
"""What a crowd has done by the time that it leaves."""
_OPEN = """
    SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing') AND NOT args ? 'timestamp')
        OR EXISTS (SELECT FROM commerce.payments WHERE state IN ('pending', 'authorized'))
        OR EXISTS (SELECT FROM webhooks.deliveries WHERE state = 'pending')
"""
WITHIN_SECONDS = 180.0
"""However slow the machine, by then a crowd has traded, or all webhooks are delivered and all payments taken."""
EVENTS = ("order.placed", "order.paid", "order.cancelled", "order.refunded")


@dataclass
class Books:
    """What the callers left behind, after everything has settled."""

    book: Book
    database: Database
    url: str
    ledger: Path
    receiver: Subscriber
    watcher: Watcher

    def verdict(self) -> Verdict:
        return Checker(
            self.book, kept_in(self.url), self.ledger, self.receiver.heard, [self.watcher], "/hook"
        ).verdict()

    def acknowledged(self, kind: Kind) -> str:
        """The id in the answer to one request of this kind."""
        return next(ask.answer for ask in self.book.acknowledged(kind))

    def untouched(self) -> list[str]:
        """An order without requests after it was placed."""
        touched = {ask.subject for ask in self.book.asks}
        return [ask.answer for ask in self.book.acknowledged(Kind.ORDER) if ask.answer not in touched]

    def at_rest(self) -> bool:
        """Whether no job is left but those that run every second or so, no payment is open, and no delivery waits."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(_OPEN).fetchone() == (False,)

    def traded(self) -> bool:
        return {ask.kind for ask in self.book.acknowledged()} >= TRADED and bool(self.untouched())


@pytest.fixture(scope="module")
async def whole(
    postgres: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Books]:
    """The books of one crowd, which are copied for each test; nobody is connected to them any more."""
    folder = tmp_path_factory.mktemp("whole")
    with migrated(postgres, request) as url:
        database = Database(url, audit_key=MASTER_KEYS.audit_key, pool_size=5)
        async with (
            providing_here(folder / "sandbox.sqlite") as sandbox,
            trading(database, url, sandbox, allowed_networks=LOOPBACK) as shop,
            subscriber() as receiver,
        ):
            door = cast(AsyncBackroom, shop.seller)
            left = Books(Book(), database, url, sandbox.ledger, receiver, Watcher(door))
            await trade(left, door)
        await database.close()
        yield left


async def trade(left: Books, door: AsyncBackroom) -> None:
    """Has a crowd trade, and waits until all of it is at rest."""
    await open_shop(door)
    endpoint = endpoints_pb2.Endpoint(url=left.receiver.url, description="all", event_types=EVENTS)
    await door.webhooks.CreateEndpoint(CreateEndpointRequest(endpoint=endpoint))
    await left.watcher.start()
    crowd = Crowd(left.book, [door], left.receiver.url.replace("hook", "rare"))
    crowd.start()
    assert await comes_true(left.traded, WITHIN_SECONDS)
    await crowd.leave(WITHIN_SECONDS)
    end = now() + WITHIN_SECONDS
    # In this order: what a job does after the books were read would be missing there, and a delivery that waited while
    # they were read, which they allow, is made by now.
    while not (left.at_rest() and (await asyncio.to_thread(left.verdict)).kept and left.at_rest()):
        assert now() < end, await asyncio.to_thread(left.verdict)
        await asyncio.sleep(0.2)
    await left.watcher.stop()


@pytest.fixture
async def books(whole: Books, postgres: str, tmp_path: Path) -> AsyncIterator[Books]:
    """A copy of what the crowd left behind."""
    name = f"books_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {parameters(whole.url)['dbname']}")
        url = sibling(postgres, name)
        database = Database(url, audit_key=MASTER_KEYS.audit_key)
        ledger = Path(shutil.copy(whole.ledger, tmp_path))
        receiver = replace(whole.receiver, heard=[*whole.receiver.heard])
        watcher = replace(whole.watcher, known={**whole.watcher.known}, received=[*whole.watcher.received])
        yield Books(copy.deepcopy(whole.book), database, url, ledger, receiver, watcher)
        await database.close()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def found(verdict: Verdict) -> set[str]:
    """Which kinds of faults were found."""
    return {name for name, named in vars(verdict).items() if named}


async def test_complete_books_have_no_faults(books: Books) -> None:
    """Of every kind of request there is one that was acknowledged, and nothing is found."""
    assert books.verdict() == Verdict()
    assert {ask.kind for ask in books.book.acknowledged()} >= TRADED


async def test_a_lost_order_is_found(books: Books) -> None:
    """By the acknowledged request, and by those who received it."""
    lost = books.untouched()[0]
    await run(books.database, f"DELETE FROM commerce.order_lines WHERE order_id = '{lost}'")
    await run(books.database, f"DELETE FROM commerce.orders WHERE id = '{lost}'")
    verdict = books.verdict()
    assert found(verdict) == {"lost"}
    assert any(f"{lost} was acknowledged" in each for each in verdict.lost)


async def test_a_lost_adjustment_is_found(books: Books) -> None:
    """By its note, which is unique."""
    note = books.acknowledged(Kind.ADJUST)
    await run(books.database, f"DELETE FROM commerce.stock_movements WHERE note = '{note}'")
    verdict = books.verdict()
    assert found(verdict) == {"lost"}
    assert len(verdict.lost) == 1


async def test_a_doubled_order_is_found(books: Books) -> None:
    """Another order with the mark of the same request; it was sent to nobody, and so it was skipped too."""
    order = books.untouched()[0]
    columns = "reference, customer_id, placed_by, state, line_count, unit_count, total, currency, cancel_reason,"
    columns += " create_time, update_time, hold_end_time"
    twin = "00000000-0000-7000-8000-000000000001"
    await run(
        books.database,
        f"INSERT INTO commerce.orders (id, {columns}) SELECT '{twin}', {columns} FROM commerce.orders"
        f" WHERE id = '{order}'",
    )
    lines = "position, product_id, quantity, unit_price"
    await run(
        books.database,
        f"INSERT INTO commerce.order_lines (order_id, {lines}) SELECT '{twin}', {lines} FROM commerce.order_lines"
        f" WHERE order_id = '{order}'",
    )
    verdict = books.verdict()
    assert len(verdict.doubled) == 1
    assert order in verdict.doubled[0]
    assert twin in verdict.doubled[0]


async def test_a_change_that_a_watch_skipped_is_found(books: Books) -> None:
    """Although the order's last state is known; and so is an order that was never sent, and a change sent twice."""
    cancelled = next(ask.subject for ask in books.book.acknowledged(Kind.CANCEL))
    books.watcher.received.remove((cancelled, "pending"))
    assert books.verdict() == Verdict(skipped=[f"watcher 0 of all: never told {(cancelled, 'pending')}"])
    books.watcher.received += [(cancelled, "pending")] * 2
    assert found(books.verdict()) == {"doubled"}
    books.watcher.received.pop()
    del books.watcher.known[cancelled]
    assert found(books.verdict()) == {"skipped"}


async def test_a_webhook_that_was_skipped_or_doubled_is_found(books: Books) -> None:
    """One that was sent again under its own id is not."""
    first = books.receiver.heard[0]
    books.receiver.heard.append(first)
    assert books.verdict() == Verdict()
    other = {**first.headers, "webhook-id": "another"}
    books.receiver.heard.append(type(first)(first.target, other, first.body))
    assert found(books.verdict()) == {"doubled"}
    books.receiver.heard[:] = [each for each in books.receiver.heard if each.body != first.body]
    assert found(books.verdict()) == {"skipped"}


async def test_a_double_charge_is_found(books: Books) -> None:
    """A second capture only in the provider's ledger."""
    with sqlite3.connect(books.ledger) as ledger:
        captured = "SELECT payment_id, kind, amount, refund_id, time FROM entries WHERE kind = 'captured' LIMIT 1"
        ledger.execute(f"INSERT INTO entries (payment_id, kind, amount, refund_id, time) {captured}")
    ledger.close()
    verdict = books.verdict()
    assert found(verdict) == {"money"}
    assert "taken 2 times" in verdict.money[0]


async def test_money_that_only_the_provider_knows_of_is_found(books: Books) -> None:
    """A payment that the provider has and the database has not."""
    payment = books.acknowledged(Kind.PAYMENT)
    await run(books.database, f"DELETE FROM commerce.refunds WHERE payment_id = '{payment}'")
    await run(books.database, f"DELETE FROM commerce.payments WHERE id = '{payment}'")
    assert {"money", "lost"} <= found(books.verdict())


async def test_an_unanswered_request_proves_nothing(books: Books) -> None:
    """Neither lost nor doubled; the round fails as unknown."""
    ask = books.book.open(Kind.ORDER)
    ask.attempts.append(Attempt(0, now(), now(), Outcome.UNKNOWN, "UNAVAILABLE / gone"))
    verdict = books.verdict()
    assert found(verdict) == {"unknown"}
    assert not verdict.kept
