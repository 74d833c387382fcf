"""What events reaches of what is kept, in two stores that share no transaction.

EVENTS is the data, which may stand in a database of its own; EVENTS_CONFIGURATION is what is declared, which stands in
the main database with its audit entries and kept answers.
"""

from typing import TypeAlias

from storage.events.repository import (
    CollectedReader,
    CollectedRepository,
    ConfigurationReader,
    ConfigurationRepository,
    EventChangeReader,
    EventReader,
    EventRepository,
    EventTypeReader,
    EventTypeRepository,
    ExportReader,
    IngestRepository,
    KeyRepository,
    MeterReader,
    MeterRepository,
    PartitionReader,
    PartitionRepository,
    PeopleReader,
    RefusedEventReader,
    RefusedEventRepository,
    RollupReader,
    RollupRepository,
    TallyReader,
    WebhookMappingReader,
    WebhookMappingRepository,
)
from storage.store import Store, StoreKind
from storage.transaction import Reading, Transaction, on_connection


class EventsReading(Reading):
    """What can be read of events."""

    collected = on_connection(CollectedReader)
    event_changes = on_connection(EventChangeReader)
    exports = on_connection(ExportReader)
    partitions = on_connection(PartitionReader)
    refused_events = on_connection(RefusedEventReader)
    stored_events = on_connection(EventReader)
    people = on_connection(PeopleReader)
    rollups = on_connection(RollupReader)
    tallies = on_connection(TallyReader)


class EventsTransaction(EventsReading, Transaction):
    """What can be read and changed of events, all of it or nothing."""

    collected = on_connection(CollectedRepository)
    ingest = on_connection(IngestRepository)
    keys = on_connection(KeyRepository)
    partitions = on_connection(PartitionRepository)
    refused_events = on_connection(RefusedEventRepository)
    stored_events = on_connection(EventRepository)
    rollups = on_connection(RollupRepository)


class EventsConfigurationReading(Reading):
    """What can be read of what is declared."""

    configuration = on_connection(ConfigurationReader)
    event_types = on_connection(EventTypeReader)
    meters = on_connection(MeterReader)
    webhook_mappings = on_connection(WebhookMappingReader)


class EventsConfigurationTransaction(EventsConfigurationReading, Transaction):
    """What can be read and changed of what is declared, all of it or nothing."""

    configuration = on_connection(ConfigurationRepository)
    event_types = on_connection(EventTypeRepository)
    meters = on_connection(MeterRepository)
    webhook_mappings = on_connection(WebhookMappingRepository)


EVENTS = StoreKind(EventsReading, EventsTransaction, apart="events")
EventsStore: TypeAlias = Store[EventsReading, EventsTransaction]

EVENTS_CONFIGURATION = StoreKind(EventsConfigurationReading, EventsConfigurationTransaction)
EventsConfigurationStore: TypeAlias = Store[EventsConfigurationReading, EventsConfigurationTransaction]
