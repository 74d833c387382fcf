"""The replay against the real server and the sandbox: orders are paid, and returns are refunded."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest

from backroom.commerce.v1 import orders_pb2
from backroom.commerce.v1.order_service_pb2 import ListOrdersRequest
from backroom.identity.v1 import accounts_pb2
from backroom.identity.v1.access_service_pb2 import CreateServiceAccountRequest
from backroom_client import AsyncBackroom, Key
from replay.calling import ReplayFailed, Step
from replay.dataset import Dataset, Line, NotReplayed, Order, Return
from replay.figures import Outcome, Paid
from replay.returns import Amounts, Reason
from replay.run import replay
from server.commerce.providers.port import PaymentReport
from server.commerce.providers.sandbox import SandboxProvider
from storage.commerce.records import Price
from storage.database import Database
from tests.commerce.goods import stock_of
from tests.fixtures.applications import paying_by
from tests.fixtures.sandbox import Sandbox
from tests.fixtures.servers import Api, Running, running
from tests.fixtures.trading import Shop
from tests.invariants import assert_whole
from tests.replay.watched import Steps, row_counts

NINE, TEN, ELEVEN = (datetime(2010, 12, 1, hour) for hour in (9, 10, 11))
PRICE, FREE = Decimal("1.5"), Decimal(0)
DAY = Dataset(
    orders=(
        Order("1", NINE, "A", "EIRE", (Line("TEA", "", 5, PRICE), Line("MUG", "", 2, Decimal("0.001")))),
        Order("2", TEN, "A", "EIRE", (Line("TEA", "", 3, PRICE), Line("GIFT", "", 4, FREE))),
        Order("3", TEN, "", "EIRE", (Line("TEA", "", 1, PRICE),)),
        Order("4", TEN, "B", "EIRE", (Line("GIFT", "", 1, FREE),)),
    ),
    write_offs=(),
    returns=(
        Return("C5", ELEVEN, "A", "TEA", 4, PRICE),
        Return("C5", ELEVEN, "A", "GIFT", 1, FREE),
        Return("C6", ELEVEN, "A", "GIFT", 2, FREE),
        Return("C7", ELEVEN, "A", "TEA", 9, PRICE),
        Return("C8", ELEVEN, "", "TEA", 1, PRICE),
    ),
    not_replayed=NotReplayed(0, 0),
    digest="digest",
)
"""Order 2 is returned completely, except for its free goods, and so is the tea of order 1."""


@asynccontextmanager
async def calling(server: Running) -> AsyncIterator[AsyncBackroom]:
    """A client that is signed in as a service."""
    admin = await server.sign_in("admin")
    key: str = (
        await admin.access.CreateServiceAccount(
            CreateServiceAccountRequest(service_account=accounts_pb2.ServiceAccount(name="replay", roles=["service"]))
        )
    ).secret
    async with AsyncBackroom(server.address, Key(key)) as client:
        yield client


async def replayed(client: AsyncBackroom, steps: Steps | None = None) -> Outcome:
    """The outcome of one replay without its duration; it polls more often than by default."""
    outcome = await replay(client, DAY, steps or Steps(), sleep=lambda seconds: asyncio.sleep(min(seconds, 0.02)))
    return replace(outcome, seconds=0, placing_seconds=0)


async def states(api: Api) -> Mapping[str, str]:
    """The orders' states, by invoice."""
    listed = (await api.orders.ListOrders(ListOrdersRequest())).orders
    return {order.reference: orders_pb2.OrderState.Name(order.state).removeprefix("ORDER_STATE_") for order in listed}


async def test_orders_are_paid_and_returns_are_refunded(shop: Shop) -> None:
    """Money, goods and states; an order of nothing is paid too, and free goods are returned."""
    steps = Steps()
    async with calling(shop.server) as client:
        outcome = await replayed(client, steps)
    assert outcome.complete
    assert outcome.paid == Paid(4, Decimal("13.502"))
    assert (outcome.matching.all, outcome.matching.matched) == (Amounts(4, 5, 17), Amounts(2, 3, 11))
    assert outcome.matching.lines_and_units(Reason.MORE_THAN_SOLD) == (1, 5)
    assert outcome.paid_back == Decimal("12.0")
    assert (steps.done[Step.PAY], steps.done[Step.RETURN]) == ((4, 4), (4, 4))
    assert await states(shop.seller) == {"1": "PAID", "2": "REFUNDED", "3": "PAID", "4": "PAID"}
    stock = {sku: await stock_of(shop.seller, sku) for sku in ("TEA", "MUG", "GIFT")}
    assert stock == {"TEA": (8, 0, 8), "MUG": (0, 0, 0), "GIFT": (3, 0, 3)}
    await assert_whole(shop.server.database)


async def test_a_second_replay_has_the_same_result_and_adds_no_row(shop: Shop, database_url: str) -> None:
    """In no table, and the provider is not called again."""
    # The provider's own webhooks would arrive at any time.
    await shop.sandbox.behave(webhook_url="")
    async with calling(shop.server) as client:
        first = await replayed(client)
        rows = row_counts(database_url)
        assert await replayed(client) == first
    assert row_counts(database_url) == rows
    theirs = (await shop.sandbox.control.get("/v1/payments")).json()["payments"]
    assert sorted(len(payment["refunds"]) for payment in theirs) == [0, 1, 2]


async def test_without_a_provider_nothing_is_paid_or_returned(server: Running, service: Api) -> None:
    """The replay is complete without; goods that are not free stay reserved."""
    async with calling(server) as client:
        outcome = await replayed(client)
    assert outcome.complete
    assert outcome.paid is None
    assert outcome.paid_back == 0
    found = dict(await states(service))
    # Order 4 is free: if it is tried before the missing provider is noticed, it is paid.
    assert {found.pop("4")} <= {"PENDING", "PAID"}
    assert set(found.values()) == {"PENDING"}
    assert await stock_of(service, "TEA") == (9, 9, 0)


class Picky(SandboxProvider):
    """Pays some amounts with a method that the sandbox refuses."""

    async def authorize(self, payment_id: UUID, amount: Price, method: str, key: str) -> PaymentReport:
        refused = {Decimal("7.502"): "card_refused", Decimal("4.5"): "card_refund_refused"}
        return await super().authorize(payment_id, amount, refused.get(amount.amount, method), key)


async def test_the_providers_refusals_are_counted_and_the_rest_continues(
    database: Database, database_url: str, shared_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A payment, a return of its order, and a refund; a second replay reports the same."""
    monkeypatch.setattr("server.commerce.providers.sandbox.SandboxProvider", Picky)
    paying = running(database, jobs_on=database_url, **paying_by(shared_sandbox.url, shared_sandbox.key))
    async with paying as server, calling(server) as client:
        outcome = await replayed(client)
        assert await replayed(client) == outcome
    refused = {(each.what, each.reason): (each.count, each.example) for each in outcome.refusals}
    assert refused == {
        ("payment", "FAILED"): (1, "payment of order 1: the card was refused"),
        ("return", "ORDER_NOT_PAID"): (2, "return C5 of order 1: the order was not paid"),
        ("return", "REFUND_FAILED"): (1, "return C5 of order 2: the provider refused to pay it back"),
    }
    assert outcome.paid == Paid(3, Decimal("6.0"))
    assert outcome.paid_back == 0
    assert not outcome.complete


async def test_payments_that_are_never_settled_end_the_replay(database: Database) -> None:
    """On a server whose jobs do not run: the error says how many wait, and where to look."""
    now = 0.0

    async def pass_by(seconds: float) -> None:
        nonlocal now
        now += seconds

    said = "not all orders paid: 3 payments wait, and none was settled for a minute; backroom jobs says more"
    async with running(database, **paying_by("http://127.0.0.1:1", "key")) as server, calling(server) as client:
        with pytest.raises(ReplayFailed, match=said):
            await replay(client, DAY, Steps(), clock=lambda: now, sleep=pass_by)
    assert 60 <= now <= 61
