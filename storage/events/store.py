"""What events reaches of what is kept, in two stores that share no transaction.

EVENTS is the data, which may stand in a database of its own; EVENTS_CONFIGURATION is what is declared, which stands in
the main database with its audit entries and kept answers.
"""

from typing import TypeAlias

from storage.events.repository.meters import MeterReader, MeterRepository
from storage.events.repository.people import PeopleReader
from storage.events.repository.rollups import RollupReader, RollupRepository
from storage.events.repository.tallies import TallyReader
from storage.store import Store, StoreKind
from storage.transaction import Reading, Transaction, on_connection


class EventsReading(Reading):
    """What can be read of events."""

    people = on_connection(PeopleReader)
    rollups = on_connection(RollupReader)
    tallies = on_connection(TallyReader)


class EventsTransaction(EventsReading, Transaction):
    """What can be read and changed of events, all of it or nothing."""

    rollups = on_connection(RollupRepository)


class EventsConfigurationReading(Reading):
    """What can be read of what is declared."""

    meters = on_connection(MeterReader)


class EventsConfigurationTransaction(EventsConfigurationReading, Transaction):
    """What can be read and changed of what is declared, all of it or nothing."""

    meters = on_connection(MeterRepository)


EVENTS = StoreKind(EventsReading, EventsTransaction)
EventsStore: TypeAlias = Store[EventsReading, EventsTransaction]

EVENTS_CONFIGURATION = StoreKind(EventsConfigurationReading, EventsConfigurationTransaction)
EventsConfigurationStore: TypeAlias = Store[EventsConfigurationReading, EventsConfigurationTransaction]
