"""identity's messages to plain values, and back, a file for each kind of thing."""

from server.identity.messages.accounts import key, service_account, session, tokens, user, user_agent
from server.identity.messages.audit import (
    audit_anchors,
    audit_event,
    audit_filter,
    audit_limit,
    audit_verification,
)
from server.identity.messages.roles import role, role_draft, role_edit

__all__ = [
    "audit_anchors",
    "audit_event",
    "audit_filter",
    "audit_limit",
    "audit_verification",
    "key",
    "role",
    "role_draft",
    "role_edit",
    "service_account",
    "session",
    "tokens",
    "user",
    "user_agent",
]
