"""What identity reaches of what is kept: its own repositories, and the frame's."""

from typing import TypeAlias

from storage.identity.repository import (
    AccessChangeReader,
    AccessChangeRepository,
    AccountReader,
    AccountRepository,
    ApiKeyReader,
    ApiKeyRepository,
    AttemptReader,
    AttemptRepository,
    EffectiveAccessReader,
    HandleReader,
    HandleRepository,
    KeyReader,
    KeyRepository,
    MailReader,
    MailRepository,
    MailTokenReader,
    MailTokenRepository,
    RoleReader,
    RoleRepository,
    SessionReader,
    SessionRepository,
)
from storage.store import Store, StoreKind
from storage.transaction import Reading, Transaction, on_connection


class IdentityReading(Reading):
    """What can be read of identity."""

    access_changes = on_connection(AccessChangeReader)
    accounts = on_connection(AccountReader)
    api_keys = on_connection(ApiKeyReader)
    attempts = on_connection(AttemptReader)
    handles = on_connection(HandleReader)
    keys = on_connection(KeyReader)
    mail_tokens = on_connection(MailTokenReader)
    mails = on_connection(MailReader)
    roles = on_connection(RoleReader)
    sessions = on_connection(SessionReader)
    effective_access = on_connection(EffectiveAccessReader)


class IdentityTransaction(IdentityReading, Transaction):
    """What can be read and changed of identity, all of it or nothing."""

    access_changes = on_connection(AccessChangeRepository)
    accounts = on_connection(AccountRepository)
    api_keys = on_connection(ApiKeyRepository)
    attempts = on_connection(AttemptRepository)
    handles = on_connection(HandleRepository)
    keys = on_connection(KeyRepository)
    mail_tokens = on_connection(MailTokenRepository)
    mails = on_connection(MailRepository)
    roles = on_connection(RoleRepository)
    sessions = on_connection(SessionRepository)


IDENTITY = StoreKind(IdentityReading, IdentityTransaction)
IdentityStore: TypeAlias = Store[IdentityReading, IdentityTransaction]
