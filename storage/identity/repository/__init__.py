"""identity's repositories, a file for each kind of thing."""

from storage.identity.repository.accounts import AccountRepository
from storage.identity.repository.api_keys import ApiKeyRepository
from storage.identity.repository.keys import KeyRepository
from storage.identity.repository.sessions import SessionRepository

__all__ = ["AccountRepository", "ApiKeyRepository", "KeyRepository", "SessionRepository"]
