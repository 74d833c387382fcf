"""What events reaches of what is kept, in two stores that share no transaction.

EVENTS is the data, which may stand in a database of its own; EVENTS_CONFIGURATION is what is declared, which stands in
the main database with its audit entries and kept answers.
"""

from typing import TypeAlias

from storage.store import Store, StoreKind
from storage.transaction import Reading, Transaction


class EventsReading(Reading):
    """What can be read of events."""


class EventsTransaction(EventsReading, Transaction):
    """What can be read and changed of events, all of it or nothing."""


class EventsConfigurationReading(Reading):
    """What can be read of what is declared."""


class EventsConfigurationTransaction(EventsConfigurationReading, Transaction):
    """What can be read and changed of what is declared, all of it or nothing."""


EVENTS = StoreKind(EventsReading, EventsTransaction)
EventsStore: TypeAlias = Store[EventsReading, EventsTransaction]

EVENTS_CONFIGURATION = StoreKind(EventsConfigurationReading, EventsConfigurationTransaction)
EventsConfigurationStore: TypeAlias = Store[EventsConfigurationReading, EventsConfigurationTransaction]
