"""The use cases of events; each public method is one transaction."""

from server.events.service.collecting import Collecting
from server.events.service.declared import DeclaredTypes
from server.events.service.deleting import Deleting
from server.events.service.event_types import EventTypes
from server.events.service.exporting import Exporting
from server.events.service.ingesting import Ingesting
from server.events.service.partitions import Partitions
from server.events.service.purging import Purging
from server.events.service.reading import Events
from server.events.service.refused import RefusedEvents
from server.events.service.slow_readings import SlowReadings
from server.events.service.webhook_mappings import WebhookMappings

__all__ = [
    "Collecting",
    "DeclaredTypes",
    "Deleting",
    "EventTypes",
    "Events",
    "Exporting",
    "Ingesting",
    "Partitions",
    "Purging",
    "RefusedEvents",
    "SlowReadings",
    "WebhookMappings",
]
