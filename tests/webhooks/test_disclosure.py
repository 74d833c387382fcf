"""An endpoint receives what its responsible account may read, checked at each delivery."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from backroom.identity.v1 import access_service_pb2
from backroom.webhooks.v1 import deliveries_pb2, endpoints_pb2
from backroom.webhooks.v1 import webhook_service_pb2 as pb
from server.modules import MODULES, manifest
from storage.database import Database
from storage.webhooks.records import DeliveryState
from storage.webhooks.store import WEBHOOKS
from tests.commerce.goods import placed, stocked
from tests.fixtures.roles import PERMISSIONS, permissions_of
from tests.fixtures.servers import Api, Running, refusal, running
from tests.fixtures.trading import eventually
from tests.identity.test_role_rpcs import creating
from tests.webhooks.outgoing import LOOPBACK, Outbox, Subscriber, subscriber
from tests.webhooks.test_endpoint_rpcs import create, created, listed, remembered, tried, update
from tests.webhooks.test_relay import followed

ENABLED, DISABLED = endpoints_pb2.ENDPOINT_STATE_ENABLED, endpoints_pb2.ENDPOINT_STATE_DISABLED
FAILED = DeliveryState.FAILED


async def plumber(server: Running) -> Api:
    """An account that may manage webhooks, and nothing else."""
    admin = await server.sign_in("admin")
    await admin.access.CreateRole(creating("plumber", "webhooks.manage"))
    return await server.sign_in("plumber")


async def test_each_type_requires_existing_permissions(service: Api) -> None:
    """And ListEventTypes lists them."""
    known = (await service.webhooks.ListEventTypes(pb.ListEventTypesRequest(page_size=1000))).event_types
    found = {each.name: {*each.permissions} for each in known}
    assert all(each and each <= PERMISSIONS for each in found.values())
    assert found["order.paid"] == {"orders.read", "orders.read_all"}
    assert found["payment.captured"] == {"payments.read", "orders.read_all"}
    assert found["audit.anchored"] == {"audit.read"}
    assert {*found} == {name for module in MODULES for name in manifest(module).event_types}


async def test_subscribing_needs_the_permissions_of_the_types(server: Running) -> None:
    """For a new endpoint and for an existing one; the permission is named."""
    keeper, nobody = await server.sign_in("manager"), await plumber(server)
    refused = await refusal(create(nobody, event_types=["webhook.endpoint_disabled", "order.paid"]))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert refused.metadata == {"permission": "orders.read"}
    assert (await refusal(create(keeper, event_types=["audit.anchored"]))).metadata == {"permission": "audit.read"}
    endpoint = await created(keeper, event_types=["order.paid"])
    disabled = await update(nobody, endpoint.endpoint_id, state=DISABLED, description="closed")
    assert (disabled.created_by, disabled.granted_by) == (str(keeper.account_id), str(keeper.account_id))
    for change in ({"url": "https://evil.example"}, {"event_types": ["payment.failed"]}, {"state": ENABLED}):
        assert (await refusal(update(nobody, endpoint.endpoint_id, **change))).reason == "PERMISSION_MISSING", change


async def test_changing_the_url_or_types_makes_the_caller_responsible(server: Running) -> None:
    """From then on its permissions count; changing the description or disabling does not."""
    keeper, admin, nobody = await server.sign_in("manager"), await server.sign_in("admin"), await plumber(server)
    endpoint = await created(keeper)
    keeps = str(keeper.account_id)
    assert (endpoint.created_by, endpoint.granted_by) == (keeps, keeps)
    for who, change, granted in (
        (nobody, {"description": "d"}, keeper),
        (nobody, {"state": DISABLED}, keeper),
        (admin, {"state": ENABLED}, admin),
        (admin, {"state": ENABLED, "url": endpoint.url}, admin),
        (keeper, {"event_types": ["order.paid"]}, keeper),
        (admin, {"url": "https://example.com/other"}, admin),
    ):
        after = await update(who, endpoint.endpoint_id, **change)
        assert (after.created_by, after.granted_by) == (keeps, str(granted.account_id)), change
    everything = await created(keeper)
    assert (await update(nobody, everything.endpoint_id, url="https://evil.example")).granted_by == str(
        nobody.account_id
    )


async def test_the_secret_needs_the_permissions_of_the_types(server: Running) -> None:
    """With it, an account that only manages webhooks could send forged orders to another's receiver."""
    keeper, admin, nobody = await server.sign_in("manager"), await server.sign_in("admin"), await plumber(server)
    orders, everything = await created(keeper, event_types=["order.paid"]), await created(admin)
    for endpoint, permission in ((orders, "orders.read"), (everything, "audit.read")):
        request = pb.RotateSecretRequest(endpoint_id=endpoint.endpoint_id)
        who = nobody if endpoint is orders else keeper
        refused = await refusal(who.webhooks.RotateSecret(request))
        assert (refused.reason, refused.metadata) == ("PERMISSION_MISSING", {"permission": permission})
        assert (await admin.webhooks.RotateSecret(request)).secret
    own = await created(nobody)
    assert (await nobody.webhooks.RotateSecret(pb.RotateSecretRequest(endpoint_id=own.endpoint_id))).secret


async def test_a_body_is_shown_only_to_callers_who_may_read_it(server: Running, outbox: Outbox) -> None:
    """An order's body is hidden from an account that only manages webhooks; the rest of the delivery is shown."""
    keeper, nobody = await server.sign_in("manager"), await plumber(server)
    endpoint = await created(keeper, event_types=["order.paid"])
    await outbox.happens("order.paid", data='{"customer_id": "ada"}')
    await outbox.relayed()
    test = await tried(nobody, endpoint.endpoint_id)
    assert test.body
    ((_, shown), (_, hidden)) = [(await listed(each))[:2] for each in (keeper, nobody)]
    assert "ada" in shown.body
    assert hidden.body == ""
    hidden.body = shown.body
    assert hidden == shown
    request = pb.RedeliverRequest(delivery_id=shown.delivery_id, request_id=str(uuid4()))
    for _ in range(2):
        again: deliveries_pb2.Delivery = (await nobody.webhooks.Redeliver(request)).delivery
        assert (again.delivery_id, again.body) == (shown.delivery_id, "")


@pytest.mark.parametrize("lost", ["the account", "a permission"])
async def test_a_delivery_that_is_no_longer_allowed_is_withheld(outbox: Outbox, lost: str) -> None:
    """Without an attempt, with the reason, and not counted against the endpoint; it can be sent again later."""
    held = outbox.permissions
    async with subscriber() as shop:
        endpoint = await outbox.endpoint(shop.url)
        await outbox.happens("order.paid")
        await outbox.relayed()
        (delivery,) = await outbox.sent(endpoint)
        outbox.permissions = None if lost == "the account" else frozenset({"webhooks.manage"})
        withheld = await outbox.attempt(delivery)
        assert (withheld.state, withheld.attempt_count, withheld.next_attempt_time) == (FAILED, 0, None)
        assert withheld.error.startswith("withheld: the account whose permissions decide")
        assert ("orders.read_all" in withheld.error) == (lost == "a permission")
        assert await outbox.endpoint_now(endpoint) == endpoint
        assert shop.heard == []
        outbox.permissions = held
        again = await outbox.endpoints.redeliver(delivery.id, outbox.ask)
        assert (await outbox.attempt(again)).state is DeliveryState.SUCCEEDED


async def test_nothing_is_sent_without_a_responsible_account(outbox: Outbox) -> None:
    """As for an endpoint that is not in the record of changes."""
    async with subscriber() as shop:
        delivery = await outbox.test_event(await outbox.endpoint(shop.url))
        async with outbox.database.store(WEBHOOKS).transaction() as tx:
            endpoint = await tx.endpoints.lock(delivery.endpoint_id)
            assert endpoint is not None
            await tx.endpoints.change(replace(endpoint, granted_by=None))
        assert (await outbox.attempt(delivery)).error.startswith("withheld: no account's permissions")
        assert shop.heard == []


async def test_what_an_account_may_do_without_a_token(server: Running) -> None:
    """By its built-in and custom roles; nothing if it is disabled or does not exist."""
    access_cache = server.application.identity.access_cache
    keeper, nobody, admin = await server.sign_in("manager"), await plumber(server), await server.sign_in("admin")
    assert keeper.account_id is not None
    assert nobody.account_id is not None
    assert await access_cache.permissions_of(keeper.account_id) == permissions_of(["manager"])
    assert await access_cache.permissions_of(nobody.account_id) == frozenset({"webhooks.manage"})
    assert await access_cache.permissions_of(uuid4()) is None
    await admin.access.DisableAccount(access_service_pb2.DisableAccountRequest(account_id=str(keeper.account_id)))
    assert await access_cache.permissions_of(keeper.account_id) is None


async def test_the_endpoints_of_a_disabled_account_receive_nothing_more(database: Database, database_url: str) -> None:
    """With a worker, from the call to the delivery that is not sent."""
    async with (
        subscriber() as shop,
        running(database, jobs_on=database_url, allowed_networks=LOOPBACK) as server,
    ):
        service, keeper, admin = [await server.sign_in(role) for role in ("service", "manager", "admin")]
        endpoint = await created(keeper, url=shop.url, event_types=["order.placed"])
        await eventually(lambda: followed(database), bool)
        await stocked(service, "A", 2)
        await placed(service, ("A", 1))
        await eventually(lambda: heard(shop), lambda found: "order.placed" in found)
        await admin.access.DisableAccount(access_service_pb2.DisableAccountRequest(account_id=str(keeper.account_id)))
        await placed(service, ("A", 1))
        failed = deliveries_pb2.DELIVERY_STATE_FAILED
        (withheld,) = await eventually(lambda: listed(admin, endpoint_id=endpoint.endpoint_id, state=failed), bool)
        assert (withheld.event_type, withheld.attempt_count) == ("order.placed", 0)
        assert "disabled or gone" in withheld.error
        assert (await heard(shop)).count("order.placed") == 1


async def heard(shop: Subscriber) -> list[str]:
    await asyncio.sleep(0)
    return [each.type for each in shop.heard]


async def test_neither_urls_nor_bodies_are_in_kept_answers(service: Api, database: Database) -> None:
    """Both may hold what the database alone must not reveal; a repeated call gets the first answer."""
    url = "https://example.com/hook?token=hunter2"
    request = pb.CreateEndpointRequest(request_id=str(uuid4()), endpoint=endpoints_pb2.Endpoint(url=url))
    first = await service.webhooks.CreateEndpoint(request)
    endpoint_id = first.endpoint.endpoint_id
    other = f"{url}other"
    editing = pb.UpdateEndpointRequest(
        request_id=str(uuid4()),
        update_mask=FieldMask(paths=["url"]),
        endpoint=endpoints_pb2.Endpoint(endpoint_id=endpoint_id, url=other),
    )
    edited = await service.webhooks.UpdateEndpoint(editing)
    testing = pb.SendTestEventRequest(request_id=str(uuid4()), endpoint_id=endpoint_id)
    tested = await service.webhooks.SendTestEvent(testing)
    kept = await remembered(database)
    assert endpoint_id in kept
    assert "hunter2" not in kept
    assert "webhook.test" in kept
    assert "timestamp" not in kept
    assert (await service.webhooks.CreateEndpoint(request)).endpoint.url == first.endpoint.url == url
    assert (await service.webhooks.UpdateEndpoint(editing)).endpoint.url == edited.endpoint.url == other
    assert (await service.webhooks.SendTestEvent(testing)).delivery == tested.delivery
