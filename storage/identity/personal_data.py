"""What identity has of a person; all of it goes with the account, in the transaction that deletes it."""

from storage.identity.tables.accounts import accounts, role_grants
from storage.identity.tables.keys import api_keys
from storage.identity.tables.mails import mail_tokens
from storage.identity.tables.sessions import sessions
from storage.personal_data import JsonOwner, OwnedRows, PersonalDataRules

PERSONAL_DATA = PersonalDataRules(
    rows=(
        OwnedRows(
            kind="role",
            table=role_grants,
            owned=lambda person: role_grants.c.account_id == person.id,
            exported=("role", "create_time"),
            deleted=True,
        ),
        OwnedRows(
            kind="session",
            table=sessions,
            owned=lambda person: sessions.c.account_id == person.id,
            exported=("id", "create_time", "refresh_time", "expire_time", "end_time", "address", "user_agent"),
            deleted=True,
        ),
        OwnedRows(
            kind="key",
            table=api_keys,
            owned=lambda person: api_keys.c.account_id == person.id,
            exported=("id", "prefix", "create_time", "expire_time", "last_use_time", "end_time"),
            deleted=True,
        ),
        OwnedRows(
            kind="emailed_token",
            table=mail_tokens,
            owned=lambda person: mail_tokens.c.account_id == person.id,
            exported=("purpose", "create_time", "expire_time", "use_time", "address"),
            deleted=True,
        ),
        OwnedRows(
            kind="account",
            table=accounts,
            owned=lambda person: accounts.c.id == person.id,
            exported=(
                *("id", "kind", "email", "name", "handle"),
                *("create_time", "verify_time", "disable_time", "password_time"),
            ),
            deleted=True,
        ),
    ),
    owners=(JsonOwner("id", frozenset({"email", "name", "handle"})),),
)
