"""WebhookService, over the wire."""

import asyncio
import base64
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import text

from backroom.webhooks.v1 import deliveries_pb2, endpoints_pb2
from backroom.webhooks.v1 import webhook_service_pb2 as pb
from server.webhooks.rules import endpoints as rules
from storage.database import Database
from storage.store import FRAME
from tests.commerce.goods import pages, raw
from tests.fixtures.servers import Api, Running, refusal
from tests.webhooks.outgoing import Outbox

ENABLED, DISABLED = endpoints_pb2.ENDPOINT_STATE_ENABLED, endpoints_pb2.ENDPOINT_STATE_DISABLED
PENDING, FAILED = deliveries_pb2.DELIVERY_STATE_PENDING, deliveries_pb2.DELIVERY_STATE_FAILED
INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
URL = "https://example.com/hook"
FILLED = text(f"""
    INSERT INTO webhooks.endpoints
    SELECT gen_random_uuid(), url, description, event_types, state, disabled_reason, failing_since, version,
        create_time, update_time
    FROM (SELECT * FROM webhooks.endpoints LIMIT 1) AS one, generate_series(4, {rules.MAX_ENDPOINTS})
""")
"""One less than the maximum, with two existing ones."""


async def create(api: Api, **fields: Any) -> pb.CreateEndpointResponse:
    request = pb.CreateEndpointRequest(endpoint=endpoints_pb2.Endpoint(**{"url": URL, **fields}))
    answer: pb.CreateEndpointResponse = await api.webhooks.CreateEndpoint(request)
    return answer


async def created(api: Api, **fields: Any) -> endpoints_pb2.Endpoint:
    return (await create(api, **fields)).endpoint


async def update(api: Api, endpoint_id: str, *mask: str, **fields: Any) -> endpoints_pb2.Endpoint:
    request = pb.UpdateEndpointRequest(
        update_mask=FieldMask(paths=mask), endpoint=endpoints_pb2.Endpoint(endpoint_id=endpoint_id, **fields)
    )
    answer: endpoints_pb2.Endpoint = (await api.webhooks.UpdateEndpoint(request)).endpoint
    return answer


async def get(api: Api, endpoint_id: str) -> endpoints_pb2.Endpoint:
    request = pb.GetEndpointRequest(endpoint_id=endpoint_id)
    answer: endpoints_pb2.Endpoint = (await api.webhooks.GetEndpoint(request)).endpoint
    return answer


async def tried(api: Api, endpoint_id: str) -> deliveries_pb2.Delivery:
    """A test event that is being sent."""
    request = pb.SendTestEventRequest(endpoint_id=endpoint_id)
    answer: deliveries_pb2.Delivery = (await api.webhooks.SendTestEvent(request)).delivery
    return answer


async def listed(api: Api, **wanted: Any) -> list[deliveries_pb2.Delivery]:
    return [*(await api.webhooks.ListDeliveries(pb.ListDeliveriesRequest(**wanted))).deliveries]


async def remembered(database: Database) -> str:
    """All kept answers."""
    async with database.store(FRAME).transaction() as tx:
        found = await tx._connection.execute(text("SELECT string_agg(answer, ' ') FROM frame.request_ids"))
        return str(found.scalar())


async def test_an_endpoint_is_created_as_described(service: Api) -> None:
    """Enabled, with its own secret of 32 bytes; a duplicate type counts once."""
    answer = await create(service, description="The shop's", event_types=["order.paid", "order.placed", "order.paid"])
    endpoint = answer.endpoint
    assert (endpoint.url, endpoint.description) == (URL, "The shop's")
    assert [*endpoint.event_types] == ["order.paid", "order.placed"]
    assert (endpoint.state, endpoint.disabled_reason, endpoint.HasField("failure_start_time")) == (ENABLED, "", False)
    assert len(base64.b64decode(answer.secret.removeprefix("whsec_"), validate=True)) == 32
    assert await get(service, endpoint.endpoint_id) == endpoint
    assert (await create(service)).secret != answer.secret


async def test_some_roles_manage_webhooks(server: Running) -> None:
    """Managers, services and admins; no role below."""
    for role in ("manager", "service", "admin"):
        assert await created(await server.sign_in(role))
    for role in ("customer", "staff"):
        assert (await refusal(create(await server.sign_in(role)))).reason == "PERMISSION_MISSING"


async def test_a_repeated_creation_returns_the_same_secret(service: Api, database: Database) -> None:
    """Although the kept answer does not hold it; but not once the endpoint is deleted."""
    request = pb.CreateEndpointRequest(request_id=str(uuid4()), endpoint=endpoints_pb2.Endpoint(url=URL))
    first = await service.webhooks.CreateEndpoint(request)
    endpoint_id = first.endpoint.endpoint_id
    await update(service, endpoint_id, description="later")
    await service.webhooks.RotateSecret(pb.RotateSecretRequest(endpoint_id=endpoint_id))
    assert raw(await service.webhooks.CreateEndpoint(request)) == raw(first)
    assert endpoint_id in await remembered(database)
    assert first.secret.removeprefix("whsec_") not in await remembered(database)
    await service.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(endpoint_id=endpoint_id))
    refused = await refusal(service.webhooks.CreateEndpoint(request))
    assert (refused.code, refused.reason) == (MISSING, "ENDPOINT_NOT_FOUND")


async def test_a_repeated_rotation_returns_the_same_secret(service: Api, database: Database) -> None:
    """Each rotation has its own, whichever comes after it; the previous secret signs for another day."""
    endpoint = await created(service)
    request = pb.RotateSecretRequest(request_id=str(uuid4()), endpoint_id=endpoint.endpoint_id)
    first = await service.webhooks.RotateSecret(request)
    second = await service.webhooks.RotateSecret(pb.RotateSecretRequest(endpoint_id=endpoint.endpoint_id))
    assert raw(await service.webhooks.RotateSecret(request)) == raw(first)
    assert second.secret != first.secret
    assert first.secret.removeprefix("whsec_") not in await remembered(database)
    day = rules.OVERLAP.total_seconds()
    assert day <= first.previous_secret_end_time.seconds - endpoint.create_time.seconds <= day + 60


async def test_repeated_changes_are_done_once(service: Api) -> None:
    """The first answer is returned again, and other content under the same id is refused."""
    endpoint_id = (await created(service)).endpoint_id
    delivery = await tried(service, endpoint_id)
    for method, request in (
        (
            "UpdateEndpoint",
            pb.UpdateEndpointRequest(endpoint=endpoints_pb2.Endpoint(endpoint_id=endpoint_id, description="other")),
        ),
        ("SendTestEvent", pb.SendTestEventRequest(endpoint_id=endpoint_id)),
        ("Redeliver", pb.RedeliverRequest(delivery_id=delivery.delivery_id)),
        ("DeleteEndpoint", pb.DeleteEndpointRequest(endpoint_id=endpoint_id)),
    ):
        request.request_id = str(uuid4())
        call = getattr(service.webhooks, method)
        first = await call(request)
        state = await listed(service)
        assert raw(await call(request)) == raw(first), method
        assert await listed(service) == state, method
        other = pb.RotateSecretRequest(request_id=request.request_id, endpoint_id=endpoint_id)
        assert (await refusal(service.webhooks.RotateSecret(other))).reason == "REQUEST_ID_REUSED", method


async def test_a_forbidden_url_is_refused(service: Api) -> None:
    """On creation and on update, and the field is named."""
    endpoint_id = (await created(service)).endpoint_id
    for url in ("http://example.com", "https://10.0.0.1", "https://u:p@example.com"):
        for call in (create(service, url=url), update(service, endpoint_id, url=url)):
            refused = await refusal(call)
            assert (refused.code, refused.reason, [*refused.fields]) == (INVALID, "URL_FORBIDDEN", ["endpoint.url"])
    assert (await refusal(update(service, endpoint_id, "url"))).reason == "URL_FORBIDDEN"
    assert (await get(service, endpoint_id)).url == URL


async def test_an_unknown_type_is_refused(server: Running) -> None:
    """It is named, and ListEventTypes lists the existing ones, in order."""
    service = await server.sign_in("admin")
    endpoint_id = (await created(service)).endpoint_id
    for call in (
        create(service, event_types=["order.paid", "b", "a"]),
        update(service, endpoint_id, event_types=["a"]),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason, refused.metadata) == (INVALID, "EVENT_TYPE_UNKNOWN", {"event_type": "a"})
    known = (await service.webhooks.ListEventTypes(pb.ListEventTypesRequest(page_size=1000))).event_types
    names = [each.name for each in known]
    assert names == sorted(names)
    assert {"order.paid", "payment.refunded", "webhook.endpoint_disabled", "audit.anchored"} < {*names}
    assert all(each.description for each in known)
    assert [*(await created(service, event_types=names)).event_types] == names


async def test_the_number_of_endpoints_is_bounded(service: Api, database: Database) -> None:
    """Even for concurrent creations; a deleted one makes room."""
    for _ in range(2):
        await created(service)
    async with database.store(FRAME).transaction() as tx:
        await tx._connection.execute(FILLED)
    results = await asyncio.gather(*(created(service) for _ in range(4)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in results) == ["AioRpcError"] * 3 + ["Endpoint"]
    refused = await refusal(created(service))
    assert (refused.code, refused.reason) == (FAILED_PRECONDITION, "TOO_MANY_ENDPOINTS")
    assert refused.metadata == {"limit": "1000"}


async def test_a_mask_changes_only_what_it_names(service: Api) -> None:
    """Other fields in the message are ignored; a field is cleared by naming it."""
    new: dict[str, Any] = {"url": f"{URL}/new", "description": "d", "event_types": ["order.paid"], "state": DISABLED}
    for name in new:
        before = await created(service, description="first", event_types=["order.placed"])
        after = await update(service, before.endpoint_id, name, **new)
        changed = [field for field in new if getattr(before, field) != getattr(after, field)]
        assert changed == [name]
        assert (after.etag != before.etag, after.update_time != before.update_time) == (True, True)
        assert await get(service, before.endpoint_id) == after
    cleared = await update(service, before.endpoint_id, "description", "event_types")
    assert (cleared.description, [*cleared.event_types]) == ("", [])


async def test_without_a_mask_the_fields_that_are_set_change(service: Api) -> None:
    """A field with its current value is no change."""
    before = await created(service, description="first")
    after = await update(service, before.endpoint_id, event_types=["order.paid"])
    assert (after.description, [*after.event_types]) == ("first", ["order.paid"])
    assert await update(service, before.endpoint_id, event_types=["order.paid"], state=ENABLED) == after
    assert await update(service, before.endpoint_id) == after


async def test_edits_are_refused_as_the_contract_says(service: Api) -> None:
    """For the mask, the state, the etag and the id."""
    endpoint = await created(service)
    for path in ("etag", "failure_start_time", "secret", "endpoint_id"):
        assert [*(await refusal(update(service, endpoint.endpoint_id, path))).fields] == ["update_mask"]
    for path in ("state", "*"):
        assert [*(await refusal(update(service, endpoint.endpoint_id, path))).fields] == ["endpoint.state"]
    after = await update(service, endpoint.endpoint_id, description="d", etag=endpoint.etag)
    refused = await refusal(update(service, endpoint.endpoint_id, description="e", etag=endpoint.etag))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert refused.metadata == {"etag": after.etag}


async def test_a_missing_endpoint_or_delivery_is_named(service: Api) -> None:
    """By its id."""
    missing = str(uuid4())
    for call in (
        service.webhooks.GetEndpoint(pb.GetEndpointRequest(endpoint_id=missing)),
        service.webhooks.UpdateEndpoint(pb.UpdateEndpointRequest(endpoint=endpoints_pb2.Endpoint(endpoint_id=missing))),
        service.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(endpoint_id=missing)),
        service.webhooks.RotateSecret(pb.RotateSecretRequest(endpoint_id=missing)),
        service.webhooks.SendTestEvent(pb.SendTestEventRequest(endpoint_id=missing)),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (MISSING, "ENDPOINT_NOT_FOUND")
        assert refused.metadata == {"endpoint_id": missing}
    refused = await refusal(service.webhooks.Redeliver(pb.RedeliverRequest(delivery_id=missing)))
    assert (refused.code, refused.reason) == (MISSING, "DELIVERY_NOT_FOUND")
    assert refused.metadata == {"delivery_id": missing}


async def test_a_disabled_endpoint_is_sent_nothing(service: Api) -> None:
    """Its remaining deliveries fail, nothing is sent on demand, and the reason names who disabled it."""
    endpoint = await created(service)
    delivery = await tried(service, endpoint.endpoint_id)
    disabled = await update(service, endpoint.endpoint_id, state=DISABLED)
    assert disabled.disabled_reason == f"disabled by {service.account_id}"
    (failed,) = await listed(service)
    assert (failed.delivery_id, failed.state, failed.error) == (delivery.delivery_id, FAILED, "endpoint disabled")
    assert not failed.HasField("next_attempt_time")
    again = pb.RedeliverRequest(delivery_id=delivery.delivery_id)
    for call in (tried(service, endpoint.endpoint_id), service.webhooks.Redeliver(again)):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (FAILED_PRECONDITION, "ENDPOINT_DISABLED")
    enabled = await update(service, endpoint.endpoint_id, state=ENABLED)
    assert (enabled.state, enabled.disabled_reason) == (ENABLED, "")
    sent = (await service.webhooks.Redeliver(again)).delivery
    assert (sent.delivery_id, sent.state, sent.body) == (delivery.delivery_id, PENDING, delivery.body)
    assert sent.HasField("next_attempt_time")


async def test_deleting_an_endpoint_deletes_its_deliveries(service: Api) -> None:
    """And no others."""
    gone, kept = await created(service), await created(service)
    await tried(service, gone.endpoint_id)
    delivery = await tried(service, kept.endpoint_id)
    await service.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(endpoint_id=gone.endpoint_id))
    assert (await refusal(get(service, gone.endpoint_id))).reason == "ENDPOINT_NOT_FOUND"
    assert await listed(service) == [delivery]


async def test_lists_are_read_page_by_page_latest_first(service: Api) -> None:
    """Endpoints, and deliveries by endpoint and by state."""
    endpoints = [await created(service, description=str(number)) for number in range(5)]
    found = await pages(service.webhooks.ListEndpoints, pb.ListEndpointsRequest(page_size=2), "endpoints")
    assert [[*page] for page in found] == [endpoints[:2:-1], endpoints[2:0:-1], endpoints[:1]]
    mine, other = endpoints[0].endpoint_id, endpoints[1].endpoint_id
    sent = [await tried(service, endpoint_id) for endpoint_id in (mine, other, mine, other, mine)]
    await update(service, other, state=DISABLED)
    assert [each.delivery_id for each in await listed(service)] == [each.delivery_id for each in sent[::-1]]
    assert await listed(service, endpoint_id=mine) == sent[::-2]
    assert await listed(service, state=PENDING) == sent[::-2]
    assert await listed(service, endpoint_id=mine, state=FAILED) == []
    wanted = pb.ListDeliveriesRequest(page_size=2, endpoint_id=mine)
    found = await pages(service.webhooks.ListDeliveries, wanted, "deliveries")
    assert [[*page] for page in found] == [sent[4:1:-2], sent[:1]]


async def test_a_page_of_large_deliveries_is_shorter(service: Api, outbox: Outbox) -> None:
    """So that a client accepts the response; none is left out."""
    endpoint = await outbox.endpoint()
    for number in range(11):
        await outbox.happens(f"{number:02}", data=f'"{"x" * 333_000}"')
    await outbox.relayed()
    wanted = pb.ListDeliveriesRequest(endpoint_id=str(endpoint.id))
    found = await pages(service.webhooks.ListDeliveries, wanted, "deliveries")
    assert [len(page) for page in found] == [3, 3, 3, 2]
    assert sorted(each.event_type for page in found for each in page) == [f"{number:02}" for number in range(11)]
