"""The wire of events: message in, message out."""

from server.events.servicer.event_service import EventServicer

__all__ = ["EventServicer"]
