"""identity on the wire: each method takes a message apart, calls one use case, and puts the answer together."""

from server.identity.servicer.access import AccessServicer
from server.identity.servicer.account import AccountServicer
from server.identity.servicer.audit import AuditServicer
from server.identity.servicer.identity import IdentityServicer

__all__ = ["AccessServicer", "AccountServicer", "AuditServicer", "IdentityServicer"]
