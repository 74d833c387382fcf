"""The statements on events, on what was refused, and on the declared types."""

from storage.events.repository.changes import EventChangeReader
from storage.events.repository.collected import CollectedReader, CollectedRepository
from storage.events.repository.event_types import (
    EVENT_TYPES,
    ConfigurationReader,
    ConfigurationRepository,
    EventTypeReader,
    EventTypeRepository,
)
from storage.events.repository.events import EventReader, EventRepository, KeyRepository
from storage.events.repository.exporting import ExportReader
from storage.events.repository.ingest import IngestRepository
from storage.events.repository.meters import MeterReader, MeterRepository
from storage.events.repository.partitions import PartitionReader, PartitionRepository
from storage.events.repository.people import PeopleReader
from storage.events.repository.refused_events import RefusedEventReader, RefusedEventRepository
from storage.events.repository.rollups import RollupReader, RollupRepository
from storage.events.repository.tallies import TallyReader
from storage.events.repository.webhook_mappings import WebhookMappingReader, WebhookMappingRepository

__all__ = [
    "EVENT_TYPES",
    "CollectedReader",
    "CollectedRepository",
    "ConfigurationReader",
    "ConfigurationRepository",
    "EventChangeReader",
    "EventReader",
    "EventRepository",
    "EventTypeReader",
    "EventTypeRepository",
    "ExportReader",
    "IngestRepository",
    "KeyRepository",
    "MeterReader",
    "MeterRepository",
    "PartitionReader",
    "PartitionRepository",
    "PeopleReader",
    "RefusedEventReader",
    "RefusedEventRepository",
    "RollupReader",
    "RollupRepository",
    "TallyReader",
    "WebhookMappingReader",
    "WebhookMappingRepository",
]
