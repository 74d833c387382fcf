"""What the client reads from the contract: the services, which of their methods take an access token, and which may be
repeated."""

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from backroom.commerce.v1 import (
    catalog_service_pb2,
    inventory_service_pb2,
    order_service_pb2,
    payment_service_pb2,
)
from backroom.common.v1 import access_pb2
from backroom.identity.v1 import access_service_pb2, audit_service_pb2, identity_service_pb2
from backroom.webhooks.v1 import webhook_service_pb2

SERVICES = (
    identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"],
    access_service_pb2.DESCRIPTOR.services_by_name["AccessService"],
    audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"],
    catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"],
    inventory_service_pb2.DESCRIPTOR.services_by_name["InventoryService"],
    order_service_pb2.DESCRIPTOR.services_by_name["OrderService"],
    payment_service_pb2.DESCRIPTOR.services_by_name["PaymentService"],
    webhook_service_pb2.DESCRIPTOR.services_by_name["WebhookService"],
)


def path_of(method: MethodDescriptor) -> str:
    """The method's path on the wire, such as "/backroom.commerce.v1.OrderService/PlaceOrder"."""
    return f"/{method.containing_service.full_name}/{method.name}"


def is_repeatable(method: MethodDescriptor) -> bool:
    """Whether a call may be made again where nobody knows what became of it; a change then carries a request_id."""
    return method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN


PROTECTED = frozenset(
    path_of(method)
    for service in SERVICES
    for method in service.methods
    if not method.GetOptions().Extensions[access_pb2.access].public
)
"""The paths of the methods that take an access token; a public method, and the health check, must not be sent one."""
