"""webhooks' messages to plain values, and back."""

from typing import Any
from uuid import UUID

from backroom.webhooks.v1 import deliveries_pb2, endpoints_pb2, webhook_service_pb2
from server.frame.caller import Caller
from server.frame.editing import Edit, as_sent, edit_of, etag_of
from server.frame.errors import FieldInvalid
from server.frame.events import EventType
from server.frame.wire import EnumNames, id_text, optional_uuid, require, timestamp
from server.webhooks.rules import endpoints
from storage.webhooks.records import Delivery, DeliveryFilter, DeliveryState, Endpoint, EndpointState

_EDITABLE = {
    **as_sent("url", "description"),
    "event_types": lambda endpoint: _types(endpoint.event_types),
    "state": lambda endpoint: _state(endpoint.state),
}
"""The fields of an endpoint that an update_mask may name."""
_DELIVERY_STATES = EnumNames(DeliveryState, deliveries_pb2.DeliveryState)
_ENDPOINT_STATES = EnumNames(EndpointState, endpoints_pb2.EndpointState)


def draft(endpoint: endpoints_pb2.Endpoint, caller: Caller) -> endpoints.EndpointDraft:
    """Raises FieldInvalid where the url is missing."""
    require(endpoint, "url")
    return endpoints.EndpointDraft(endpoint.url, endpoint.description, _types(endpoint.event_types), caller)


def edit(request: webhook_service_pb2.UpdateEndpointRequest) -> Edit[UUID]:
    """Raises FieldInvalid where the endpoint_id is missing, or the mask names a field that cannot be changed, or a
    state that is none.
    """
    return edit_of(request.endpoint, request.update_mask, ("endpoint_id", UUID), _EDITABLE)


def endpoint(kept: Endpoint) -> endpoints_pb2.Endpoint:
    return endpoints_pb2.Endpoint(
        endpoint_id=id_text(kept.id),
        url=kept.url,
        description=kept.description,
        event_types=kept.event_types,
        state=_ENDPOINT_STATES.wire(kept.state),
        disabled_reason=kept.disabled_reason,
        failure_start_time=timestamp(kept.failing_since),
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
        created_by=id_text(kept.created_by),
        granted_by=id_text(kept.granted_by),
    )


def delivery_filter(request: webhook_service_pb2.ListDeliveriesRequest) -> DeliveryFilter:
    return DeliveryFilter(
        endpoint_id=optional_uuid(request.endpoint_id),
        state=_DELIVERY_STATES.find(request.state),
    )


def delivery(kept: Delivery, *, readable: bool) -> deliveries_pb2.Delivery:
    """Without its body where that is not readable to the caller."""
    return deliveries_pb2.Delivery(
        delivery_id=id_text(kept.id),
        endpoint_id=id_text(kept.endpoint_id),
        event_type=kept.event_type,
        state=_DELIVERY_STATES.wire(kept.state),
        attempt_count=kept.attempt_count,
        next_attempt_time=timestamp(kept.next_attempt_time),
        last_attempt_time=timestamp(kept.last_attempt_time),
        response_status=kept.response_status,
        error=kept.error,
        body=kept.body if readable else "",
        create_time=timestamp(kept.create_time),
    )


def _types(names: Any) -> tuple[str, ...]:
    """In their order, each once."""
    return tuple(dict.fromkeys(names))


def _state(state: "endpoints_pb2.EndpointState.ValueType") -> EndpointState:
    found = _ENDPOINT_STATES.find(state)
    if found is None:
        raise FieldInvalid.of("endpoint.state", "must be enabled or disabled when the update_mask names it")
    return found


def event_type(name: str, kind: EventType) -> endpoints_pb2.EventType:
    return endpoints_pb2.EventType(name=name, description=kind.description, permissions=kind.permissions)
