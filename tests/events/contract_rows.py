"""What the tests of the contract are told of events."""

from backroom.events.v1 import event_service_pb2 as pb
from backroom.events.v1 import event_type_service_pb2 as types_pb
from backroom.events.v1 import event_types_pb2, webhook_mappings_pb2
from backroom.events.v1 import webhook_mapping_service_pb2 as mappings_pb
from server.events.service.deleting import resource_of
from tests.contract.rows import ContractRows
from tests.contract.scenario import Scenario, fresh
from tests.events import query_rows
from tests.events.calling import event, update


async def declare(scenario: Scenario) -> None:
    """A type, from its declaration to its end, with an event that was refused meanwhile."""
    admin, one = scenario.admin, "event_type/order.paid"
    strict = event_types_pb2.EventType(type="order.paid", schema='{"type": "object"}')
    create = types_pb.CreateEventTypeRequest(request_id=fresh(), event_type=strict)
    await scenario.change(admin, "CreateEventType", create, one)
    await admin.events.IngestEvents(pb.IngestEventsRequest(events=[event(type="order.paid", data="[]")]))
    await scenario.change(admin, "UpdateEventType", update("order.paid", schema=""), one)
    retry = types_pb.RetryRefusedEventsRequest(request_id=fresh())
    await scenario.change(admin, "RetryRefusedEvents", retry, "refused_events")
    delete = types_pb.DeleteEventTypeRequest(request_id=fresh(), type="order.paid")
    await scenario.change(admin, "DeleteEventType", delete, one)


async def delete_subject(scenario: Scenario) -> None:
    """All events of a subject."""
    await scenario.admin.events.IngestEvents(pb.IngestEventsRequest(events=[event(subject="jane")]))
    request = pb.DeleteSubjectRequest(request_id=fresh(), subject="jane")
    await scenario.change(scenario.admin, "DeleteSubject", request, resource_of("jane"))


async def map_webhooks(scenario: Scenario) -> None:
    """What the webhooks of a source become, and that they become nothing any more."""
    one, wanted = "webhook_mapping/billing", webhook_mappings_pb2.WebhookMapping(webhook_source="billing", type="paid")
    setting = mappings_pb.SetWebhookMappingRequest(request_id=fresh(), webhook_mapping=wanted)
    await scenario.change(scenario.admin, "SetWebhookMapping", setting, one)
    deleting = mappings_pb.DeleteWebhookMappingRequest(request_id=fresh(), webhook_source="billing")
    await scenario.change(scenario.admin, "DeleteWebhookMapping", deleting, one)


_ITSELF = "an event is the record itself, with its source, its id and when it came, and there are too many"

ROWS = ContractRows(
    changes=(declare, delete_subject, map_webhooks, query_rows.keep_meters),
    unrecorded={"IngestEvents": _ITSELF, "IngestCloudEvents": _ITSELF, "StreamEvents": _ITSELF},
    everyones={("EventTypeService/RetryRefusedEvents", "refused_event_ids"): "whoever may retry may retry all"},
    shows_secrets=query_rows.SHOWS_SECRETS,
    secret_answers=query_rows.secret_answers,
)
