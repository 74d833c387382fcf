"""kill -9 of the worker at every point of a payment: another continues there, and the customer is charged once."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry

from backroom.commerce.v1 import payment_service_pb2
from server.frame.jobs import Worker
from storage.database import Database
from storage.store import FRAME
from tests.commerce.goods import cancelled, placed, stock_of, stocked
from tests.fixtures.applications import QUIET, paying_by
from tests.fixtures.forking import forked
from tests.fixtures.sandbox import Sandbox
from tests.fixtures.servers import running
from tests.fixtures.trading import Shop, eventually
from tests.invariants import assert_whole

PAYING = ("before authorize", "after authorize", "stored 1", "before capture", "after capture", "stored 2")
REFUNDING = ("before refund", "after refund", "stored 1")
LETTING_GO = ("before void", "after void", "stored 1")


@pytest.fixture
async def idle_shop(database: Database, sandbox_here: Sandbox) -> AsyncIterator[Shop]:
    """A shop whose server runs no jobs, and receives no webhook."""
    async with running(database, **paying_by(sandbox_here.url, sandbox_here.key)) as server:
        shop = Shop(server, sandbox_here, await server.sign_in("service"))
        await stocked(shop.seller, "TEA", 10)
        yield shop


async def killed(database_url: str, shop: Shop, point: str) -> None:
    """Lets a worker run the jobs, and die at a point."""
    where = (database_url, shop.sandbox.url, shop.sandbox.key, point)
    process = await forked("tests.faults.dying_worker", *where, environment=os.environ)
    try:
        assert await asyncio.wait_for(process.wait(), 300) == -signal.SIGKILL
    finally:
        process.kill()


async def take_up(database_url: str, shop: Shop) -> None:
    """Another worker, which notices that the first is dead, and finishes its work."""

    async def left() -> int:
        async with shop.server.database.store(FRAME).reading() as tx:
            return sum(job.task.startswith("commerce.") for job in await tx.jobs.list_undone(100))

    tasks = shop.server.application.tasks
    worker = Worker(database_url, tasks, QUIET, CollectorRegistry(), heartbeat_seconds=0.05, stalled_after_seconds=0.1)
    worker.start()
    await eventually(left, lambda jobs: not jobs)
    await worker.stop()


async def taken(shop: Shop) -> list[tuple[Decimal, Decimal]]:
    """What the provider took and refunded, by payment."""
    told = (await shop.sandbox.control.get("/v1/payments")).json()["payments"]
    return [(Decimal(each["captured"]), Decimal(each["refunded"])) for each in told]


@pytest.mark.parametrize("point", PAYING)
async def test_a_payment_is_continued_where_its_worker_died(idle_shop: Shop, database_url: str, point: str) -> None:
    """Charged once, and sold once."""
    order = await placed(idle_shop.seller, ("TEA", 2))
    payment = await idle_shop.pay(order)
    await killed(database_url, idle_shop, point)
    await take_up(database_url, idle_shop)
    await idle_shop.settled(payment, "CAPTURED")
    assert await taken(idle_shop) == [(Decimal("5.10"), Decimal(0))]
    assert await stock_of(idle_shop.seller, "TEA") == (8, 0, 8)
    await assert_whole(idle_shop.server.database)


@pytest.mark.parametrize("point", REFUNDING)
async def test_a_refund_is_continued_where_its_worker_died(idle_shop: Shop, database_url: str, point: str) -> None:
    """Refunded once."""
    payment = await idle_shop.pay(await placed(idle_shop.seller, ("TEA", 2)))
    await take_up(database_url, idle_shop)
    request = payment_service_pb2.RefundPaymentRequest(payment_id=payment.payment_id)
    await idle_shop.seller.payments.RefundPayment(request)
    await killed(database_url, idle_shop, point)
    await take_up(database_url, idle_shop)
    await idle_shop.settled(payment, "REFUNDED")
    assert await taken(idle_shop) == [(Decimal("5.10"), Decimal("5.10"))]
    await assert_whole(idle_shop.server.database)


@pytest.mark.parametrize("point", LETTING_GO)
async def test_a_release_is_continued_where_its_worker_died(idle_shop: Shop, database_url: str, point: str) -> None:
    """Nothing is taken for a cancelled order."""
    order = await placed(idle_shop.seller, ("TEA", 2))
    payment = await idle_shop.pay(order, "card_later")
    await take_up(database_url, idle_shop)
    await cancelled(idle_shop.seller, order)
    await killed(database_url, idle_shop, point)
    await take_up(database_url, idle_shop)
    await idle_shop.settled(payment, "VOIDED")
    assert await taken(idle_shop) == [(Decimal(0), Decimal(0))]
    await assert_whole(idle_shop.server.database)
