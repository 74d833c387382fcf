"""The frame's repositories, a file for each kind of thing."""

from storage.frame.repository.audit import AuditRepository
from storage.frame.repository.chain import AuditChainRepository
from storage.frame.repository.environment import EnvironmentRepository
from storage.frame.repository.events import EventRepository
from storage.frame.repository.jobs import JobRepository
from storage.frame.repository.requests import RequestRepository

__all__ = [
    "AuditChainRepository",
    "AuditRepository",
    "EnvironmentRepository",
    "EventRepository",
    "JobRepository",
    "RequestRepository",
]
