"""What the contract's tests need to know of webhooks."""

from collections.abc import Sequence

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from backroom.webhooks.v1 import endpoints_pb2, webhook_service_pb2
from tests.contract.rows import ContractRows
from tests.contract.scenario import Scenario, fresh
from tests.fixtures.servers import Api, Running


async def subscribe(scenario: Scenario) -> None:
    """An endpoint, from its creation to its deletion."""
    seller, pb = scenario.shop.seller, webhook_service_pb2
    create = pb.CreateEndpointRequest(
        request_id=fresh(),
        endpoint=endpoints_pb2.Endpoint(url="https://example.com/hook", event_types=["webhook.endpoint_disabled"]),
    )
    made = await scenario.change(seller, "CreateEndpoint", create, "endpoint/{answer.endpoint.endpoint_id}")
    endpoint_id = made.endpoint.endpoint_id
    resource = f"endpoint/{endpoint_id}"
    rotate = pb.RotateSecretRequest(request_id=fresh(), endpoint_id=endpoint_id)
    await scenario.change(seller, "RotateSecret", rotate, resource)
    update = pb.UpdateEndpointRequest(
        request_id=fresh(),
        update_mask=FieldMask(paths=["description"]),
        endpoint=endpoints_pb2.Endpoint(endpoint_id=endpoint_id, description="Mine"),
    )
    await scenario.change(seller, "UpdateEndpoint", update, resource)
    tested = await scenario.change(
        seller, "SendTestEvent", pb.SendTestEventRequest(request_id=fresh(), endpoint_id=endpoint_id), resource
    )
    again = pb.RedeliverRequest(request_id=fresh(), delivery_id=tested.delivery.delivery_id)
    await scenario.change(seller, "Redeliver", again, resource)
    delete = pb.DeleteEndpointRequest(request_id=fresh(), endpoint_id=endpoint_id)
    await scenario.change(seller, "DeleteEndpoint", delete, resource)


async def secret_answers(_server: Running, admin: Api) -> Sequence[Message]:
    creating = webhook_service_pb2.CreateEndpointRequest(
        request_id=fresh(), endpoint=endpoints_pb2.Endpoint(url="https://example.com")
    )
    endpoint = await admin.webhooks.CreateEndpoint(creating)
    rotating = webhook_service_pb2.RotateSecretRequest(request_id=fresh(), endpoint_id=endpoint.endpoint.endpoint_id)
    return [endpoint, await admin.webhooks.RotateSecret(rotating)]


ROWS = ContractRows(
    changes=(subscribe,),
    everyones=dict.fromkeys(
        [
            ("WebhookService/GetEndpoint", "endpoint_id"),
            ("WebhookService/UpdateEndpoint", "endpoint.endpoint_id"),
            ("WebhookService/DeleteEndpoint", "endpoint_id"),
            ("WebhookService/RotateSecret", "endpoint_id"),
            ("WebhookService/SendTestEvent", "endpoint_id"),
            ("WebhookService/ListDeliveries", "endpoint_id"),
            ("WebhookService/Redeliver", "delivery_id"),
        ],
        "endpoints are the shop's and no caller's: webhooks.manage reaches all of them",
    ),
    shows_secrets=frozenset({"WebhookService/CreateEndpoint", "WebhookService/RotateSecret"}),
    secret_answers=secret_answers,
)
