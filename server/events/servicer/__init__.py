"""The wire of events: message in, message out."""

from server.events.servicer.event_service import EventServicer
from server.events.servicer.event_type_service import EventTypeServicer

__all__ = ["EventServicer", "EventTypeServicer"]
