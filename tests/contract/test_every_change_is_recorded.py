"""Every method that changes something leaves an audit entry in the same transaction."""

from collections.abc import AsyncIterator, Sequence

import pytest

from backroom.commerce.v1 import order_service_pb2, payments_pb2
from storage.database import Database
from storage.frame.records import NOBODY
from tests.commerce.contract_rows import sell
from tests.commerce.goods import ask
from tests.contract.methods import METHODS
from tests.contract.rows import all_rows
from tests.contract.scenario import Scenario
from tests.fixtures.mailboxes import Collected
from tests.fixtures.sandbox import Sandbox
from tests.fixtures.trading import eventually, trading
from tests.identity.records import events

CHANGING = {method.name: method.module for method in METHODS if method.changes}
"""The calls that change something, and their module."""


def recorded_changes(module: str) -> set[str]:
    """The calls that change something in a module, and leave an audit entry."""
    return {name for name, its_module in CHANGING.items() if its_module == module} - all_rows()[
        module
    ].unrecorded.keys()


@pytest.fixture
async def scenario(database: Database, database_url: str, sandbox_here: Sandbox) -> AsyncIterator[Scenario]:
    mails = Collected()
    async with trading(database, database_url, sandbox_here, outbox=mails, files_scanner="none") as shop:
        yield Scenario(shop, mails, await shop.server.sign_in("admin"))


@pytest.mark.parametrize("module", sorted({*CHANGING.values()}))
async def test_every_method_that_changes_something_leaves_an_entry(scenario: Scenario, module: str) -> None:
    """One entry for each resource, with who, what, from where and under which call; a repetition leaves none.

    A new method that changes something needs a call in `tests/<module>/contract_rows.py`, or the reason why it leaves
    none.
    """
    for part in all_rows()[module].changes:
        await part(scenario)
    expected = recorded_changes(module)
    assert scenario.called == expected, f"call each of them in the changes of tests/{module}/contract_rows.py"


async def test_changes_made_by_jobs_are_recorded_under_the_jobs_names(scenario: Scenario) -> None:
    """Without an account or an address, and once for each change, however often it is reported."""
    await sell(scenario)
    shop = scenario.shop
    order = (await shop.seller.orders.PlaceOrder(ask(("TEA", 1)))).order
    paid = await shop.settled(await shop.pay(order), "CAPTURED")
    late = ask(("TEA", 1))
    late.hold_duration.FromSeconds(1)
    expired = (await shop.seller.orders.PlaceOrder(late)).order

    async def entries() -> Sequence[tuple[str, str]]:
        found = [event.entry for event in await events(shop.server.database)]
        assert all((each.address, each.call_id) == ("", "") for each in found if "/" not in each.action)
        return [(each.action, each.resource) for each in found if each.caller_id == NOBODY]

    gone = ("commerce.expire", f"order/{expired.order_id}")
    found = await eventually(entries, lambda found: gone in found)
    assert found.count(gone) == 1
    # Either our own query or the provider's webhook made it paid; the other one changed nothing more.
    assert [resource for _, resource in found].count(f"order/{order.order_id}") == 1
    of_payment = [action for action, resource in found if resource == f"payment/{paid.payment_id}"]
    assert of_payment
    assert {*of_payment} <= {"commerce.pay", "commerce.take_payment_event"}
    assert paid.state == payments_pb2.PAYMENT_STATE_CAPTURED


async def test_a_refused_change_leaves_nothing(scenario: Scenario) -> None:
    """This also holds for the refused requests of a batch whose other requests succeed."""
    await sell(scenario)
    seller = scenario.shop.seller
    before = len(await events(scenario.shop.server.database, caller_id=seller.account_id))
    asks = [ask(("TEA", 1)), ask(("TEA", 1_000)), ask(("NONE", 1)), ask(("TEA", 2))]
    sent = [order_service_pb2.PlaceOrdersRequest(order=each) for each in asks]
    answers = [answer async for answer in seller.orders.PlaceOrders(iter(sent))]
    placed = [answer.order.order_id for answer in answers if answer.order.order_id]
    found = await events(scenario.shop.server.database, caller_id=seller.account_id)
    assert sorted(event.entry.resource for event in found[before:]) == sorted(f"order/{each}" for each in placed)
    assert len(placed) == 2
