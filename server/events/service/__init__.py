"""The use cases of events; each public method is one transaction."""

from server.events.service.declared import DeclaredTypes
from server.events.service.deleting import Deleting
from server.events.service.event_types import EventTypes
from server.events.service.ingesting import Ingesting
from server.events.service.partitions import Partitions
from server.events.service.purging import Purging
from server.events.service.reading import Events
from server.events.service.refused import RefusedEvents

__all__ = [
    "DeclaredTypes",
    "Deleting",
    "EventTypes",
    "Events",
    "Ingesting",
    "Partitions",
    "Purging",
    "RefusedEvents",
]
