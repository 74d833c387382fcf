"""identity's repositories, a file for each kind of thing."""

from storage.identity.repository.access_changes import AccessChangeReader, AccessChangeRepository
from storage.identity.repository.accounts import AccountReader, AccountRepository
from storage.identity.repository.api_keys import ApiKeyReader, ApiKeyRepository
from storage.identity.repository.attempts import AttemptReader, AttemptRepository
from storage.identity.repository.effective_access import EffectiveAccessReader
from storage.identity.repository.handles import HandleReader, HandleRepository
from storage.identity.repository.keys import KeyReader, KeyRepository
from storage.identity.repository.mail_tokens import MailTokenReader, MailTokenRepository
from storage.identity.repository.mails import MailReader, MailRepository
from storage.identity.repository.roles import RoleReader, RoleRepository
from storage.identity.repository.sessions import SessionReader, SessionRepository

__all__ = [
    "AccessChangeReader",
    "AccessChangeRepository",
    "AccountReader",
    "AccountRepository",
    "ApiKeyReader",
    "ApiKeyRepository",
    "AttemptReader",
    "AttemptRepository",
    "EffectiveAccessReader",
    "HandleReader",
    "HandleRepository",
    "KeyReader",
    "KeyRepository",
    "MailReader",
    "MailRepository",
    "MailTokenReader",
    "MailTokenRepository",
    "RoleReader",
    "RoleRepository",
    "SessionReader",
    "SessionRepository",
]
