"""The use cases of events; each public method is one transaction."""

from server.events.service.declared import DeclaredTypes
from server.events.service.deleting import Deleting
from server.events.service.ingesting import Ingesting
from server.events.service.partitions import Partitions
from server.events.service.reading import Events

__all__ = ["DeclaredTypes", "Deleting", "Events", "Ingesting", "Partitions"]
