"""identity's repositories, a file for each kind of thing."""

from storage.identity.repository.access_changes import AccessChangeRepository
from storage.identity.repository.accounts import AccountRepository
from storage.identity.repository.api_keys import ApiKeyRepository
from storage.identity.repository.attempts import AttemptRepository
from storage.identity.repository.keys import KeyRepository
from storage.identity.repository.mail_tokens import MailTokenRepository
from storage.identity.repository.mails import MailRepository
from storage.identity.repository.roles import RoleRepository
from storage.identity.repository.sessions import SessionRepository
from storage.identity.repository.standings import StandingRepository

__all__ = [
    "AccessChangeRepository",
    "AccountRepository",
    "ApiKeyRepository",
    "AttemptRepository",
    "KeyRepository",
    "MailRepository",
    "MailTokenRepository",
    "RoleRepository",
    "SessionRepository",
    "StandingRepository",
]
