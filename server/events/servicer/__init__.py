"""The wire of events: message in, message out."""

from server.events.servicer.event_service import EventServicer
from server.events.servicer.event_type_service import EventTypeServicer
from server.events.servicer.webhook_mappings import WebhookMappingServicer

__all__ = ["EventServicer", "EventTypeServicer", "WebhookMappingServicer"]
