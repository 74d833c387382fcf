"""The store of flags: its own repositories, and the frame's."""

from typing import TypeAlias

from storage.flags.repository import (
    ConfigurationReader,
    ConfigurationRepository,
    FlagReader,
    FlagRepository,
    ProposalReader,
    ProposalRepository,
    ScheduleReader,
    ScheduleRepository,
    SegmentReader,
    SegmentRepository,
    UsageReader,
    UsageRepository,
)
from storage.store import Store, StoreKind
from storage.transaction import Reading, Transaction, on_connection


class FlagsReading(Reading):
    """What can be asked of flags."""

    configuration = on_connection(ConfigurationReader)
    flags = on_connection(FlagReader)
    proposals = on_connection(ProposalReader)
    schedules = on_connection(ScheduleReader)
    segments = on_connection(SegmentReader)
    usage = on_connection(UsageReader)


class FlagsTransaction(FlagsReading, Transaction):
    """What can be asked and changed of flags, all of it or nothing."""

    configuration = on_connection(ConfigurationRepository)
    flags = on_connection(FlagRepository)
    proposals = on_connection(ProposalRepository)
    schedules = on_connection(ScheduleRepository)
    segments = on_connection(SegmentRepository)
    usage = on_connection(UsageRepository)


FLAGS = StoreKind(FlagsReading, FlagsTransaction)
FlagsStore: TypeAlias = Store[FlagsReading, FlagsTransaction]
