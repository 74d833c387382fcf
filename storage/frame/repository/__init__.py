"""The frame's repositories, a file for each kind of thing."""

from storage.frame.repository.account_deletions import AccountDeletionReader, AccountDeletionRepository
from storage.frame.repository.audit import AuditReader, AuditRepository
from storage.frame.repository.chain import AuditChainReader, AuditChainRepository
from storage.frame.repository.environment import EnvironmentReader, EnvironmentRepository
from storage.frame.repository.event_log import EventLogReader
from storage.frame.repository.events import EventRepository
from storage.frame.repository.inbox import InboxReader, InboxRepository
from storage.frame.repository.jobs import JobReader, JobRepository
from storage.frame.repository.personal_data import PersonalDataReader, PersonalDataRepository
from storage.frame.repository.requests import RequestReader, RequestRepository

__all__ = [
    "AccountDeletionReader",
    "AccountDeletionRepository",
    "AuditChainReader",
    "AuditChainRepository",
    "AuditReader",
    "AuditRepository",
    "EnvironmentReader",
    "EnvironmentRepository",
    "EventLogReader",
    "EventRepository",
    "InboxReader",
    "InboxRepository",
    "JobReader",
    "JobRepository",
    "PersonalDataReader",
    "PersonalDataRepository",
    "RequestReader",
    "RequestRepository",
]
