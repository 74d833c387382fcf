"""The statements of flags: one explicit statement for each question or change."""

from storage.flags.repository.configuration import ConfigurationReader, ConfigurationRepository
from storage.flags.repository.flags import FlagReader, FlagRepository
from storage.flags.repository.proposals import ProposalReader, ProposalRepository
from storage.flags.repository.schedules import ScheduleReader, ScheduleRepository
from storage.flags.repository.segments import SegmentReader, SegmentRepository
from storage.flags.repository.usage import UsageReader, UsageRepository

__all__ = [
    "ConfigurationReader",
    "ConfigurationRepository",
    "FlagReader",
    "FlagRepository",
    "ProposalReader",
    "ProposalRepository",
    "ScheduleReader",
    "ScheduleRepository",
    "SegmentReader",
    "SegmentRepository",
    "UsageReader",
    "UsageRepository",
]
