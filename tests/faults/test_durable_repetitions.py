"""Each method that changes something, repeated while no commit is confirmed; and effects at providers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.protobuf.message import Message

from backroom.commerce.v1 import payment_service_pb2, payments_pb2
from server.commerce.providers.sandbox import SandboxProvider
from server.commerce.service import Paying, Settling
from server.frame.batching import Batcher
from storage.commerce.store import COMMERCE
from storage.database import Database
from storage.time_limits import TimeLimits
from tests.commerce.books import run
from tests.commerce.goods import ask, placed, stocked
from tests.contract.rows import all_rows
from tests.contract.scenario import BY_NAME, Scenario, carried_request_id
from tests.contract.test_every_change_is_recorded import CHANGING, recorded_changes
from tests.faults.cluster import Cluster
from tests.faults.unconfirmed import held_up, unconfirmed
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.mailboxes import Collected
from tests.fixtures.sandbox import Sandbox
from tests.fixtures.servers import Api
from tests.fixtures.trading import Shop, eventually, trading
from tests.identity.people import NEW_PASSWORD, logging_in

PATIENCE_SECONDS = 120.0
ACKNOWLEDGES_NOTHING = {"ExchangeKey"}
"""It issues a token, and stores the key's last use at most once a minute."""


class Repeating(Scenario):
    """Repeats each call while no commit is confirmed: it must wait, and get the first answer once one is."""

    url = ""

    async def change(
        self, api: Api, name: str, request: Message, *resources: str | Callable[[Any], str], caller: UUID | None = None
    ) -> Any:
        answer = await super().change(api, name, request, *resources, caller=caller)
        if name in ACKNOWLEDGES_NOTHING:
            return answer
        api = await self._let_in(api) if name == "ChangePassword" else api
        async with unconfirmed(self.url):
            again = asyncio.ensure_future(self._sent(api, BY_NAME[name], request, f"repeated-{name}"))
            try:
                await held_up(self.url, again)
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}: {again}") from None
        await asyncio.wait({again})
        if carried_request_id(request):
            assert again.result() == answer, name
        else:
            again.exception()  # it may be refused, by what is stored
        return answer

    async def _let_in(self, api: Api) -> Api:
        """The same caller, whose sessions have just ended, with a new one."""
        login = await self.anonymous.identity.Login(logging_in("ada@example.com", NEW_PASSWORD))
        return Api(self.shop.server.channel, login.tokens.access_token, api.account_id)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """One that gives no commit up: on a busy machine it takes a while to see that one waits."""
    opened = Database(
        database_url, audit_key=MASTER_KEYS.audit_key, pool_size=5, limits=TimeLimits(answer=PATIENCE_SECONDS)
    )
    yield opened
    await opened.close()


@pytest.fixture
async def scenario(
    database: Database, database_url: str, sandbox: Sandbox, cluster: Cluster
) -> AsyncIterator[Repeating]:
    mails = Collected()
    async with trading(database, database_url, sandbox, outbox=mails, files_scanner="none") as shop:
        made = Repeating(shop, mails, await shop.server.sign_in("admin"))
        made.url = cluster.url
        yield made


@pytest.mark.long
@pytest.mark.parametrize("module", sorted({*CHANGING.values()}))
async def test_a_repetition_of_any_change_waits_until_it_is_confirmed(scenario: Repeating, module: str) -> None:
    """Whether its request_id identifies it, or there is nothing left to change."""
    rows = all_rows()[module]
    for part in rows.changes:
        await part(scenario)
    assert scenario.called == recorded_changes(module)


async def test_confirming_a_free_payment_waits_until_it_is_confirmed(shop: Shop, cluster: Cluster) -> None:
    """No provider is called, and nothing is written."""
    await stocked(shop.seller, "TEA", 10)
    free = ask(("TEA", 1))
    free.lines[0].unit_price.currency_code = "GBP"
    payment = await shop.pay((await shop.seller.orders.PlaceOrder(free)).order)
    request = payment_service_pb2.ConfirmPaymentRequest(payment_id=payment.payment_id)
    async with unconfirmed(cluster.url):
        confirming = asyncio.ensure_future(shop.seller.payments.ConfirmPayment(request))
        await held_up(cluster.url, confirming)
    assert (await confirming).payment == payment


async def test_money_is_released_once_the_orders_end_is_confirmed(
    database: Database, shop: Shop, cluster: Cluster
) -> None:
    """A promotion might undo the order's end, and nothing could undo the release."""
    await shop.sandbox.behave(webhook_url="")
    await stocked(shop.seller, "TEA", 10)
    order = await placed(shop.seller, ("TEA", 1))
    begun = await shop.pay(order, "card_later")
    payment = await eventually(lambda: shop.payment(begun.payment_id), lambda found: bool(found.provider_payment_id))
    await run(database, f"UPDATE commerce.orders SET state = 'cancelled' WHERE id = '{order.order_id}'")
    provider = SandboxProvider(shop.sandbox.url, shop.sandbox.key)
    settling = Batcher(Settling(database.store(COMMERCE), lambda: datetime.now(UTC), uuid4).settle)
    paying = Paying(database.store(COMMERCE), {provider.name: provider}, settling, lambda: datetime.now(UTC))
    try:
        async with unconfirmed(cluster.url):
            letting_go = asyncio.ensure_future(paying.pay(UUID(payment.payment_id)))
            await held_up(cluster.url, letting_go)
            assert not await _voided(shop, payment)
        await letting_go
        assert await _voided(shop, payment)
    finally:
        await settling.close()
        await provider.close()


async def _voided(shop: Shop, payment: payments_pb2.Payment) -> bool:
    found = await shop.sandbox.control.get(f"/v1/payments/{payment.provider_payment_id}")
    return bool(found.raise_for_status().json()["status"] == "voided")
