from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from server.frame.caller import Caller
from server.frame.repeating import once
from server.identity.errors import CredentialsInvalid, NameTaken
from server.identity.roles import SERVICE
from server.identity.rules.roles import known_roles
from server.identity.secrets import Secrets, key_hash
from server.identity.tokens import AccessTokens
from storage.database import Database
from storage.frame.records import Ask
from storage.identity.records import Account, AccountKind, ApiKey


class ApiKeys:
    """How services come in."""

    def __init__(
        self,
        database: Database,
        tokens: AccessTokens,
        secrets: Secrets,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._secrets = secrets
        self._now = now
        self._new_id = new_id

    async def create_account(
        self, caller: Caller | None, name: str, roles: Sequence[str], ask: Ask
    ) -> tuple[Account, str]:
        """Creates an account and returns it with its key; raises RoleNotFound, NameTaken."""
        async with self._database.transaction() as tx:

            async def act() -> Account:
                granted = known_roles(roles or [SERVICE])
                account = Account(self._new_id(), AccountKind.SERVICE, None, name, granted, self._now())
                if not await tx.accounts.add(account):
                    raise NameTaken
                # The first key is derived from the account's id, and so that is its own.
                secret = await self._secrets.service_key(account.id)
                key = ApiKey(account.id, account.id, secret[:12], account.create_time, None, None, None)
                await tx.api_keys.add(key, key_hash(secret))
                return account

            account = await once(tx, ask, Account, act, lambda account: f"account/{account.id}")
        return account, await self._secrets.service_key(account.id)

    async def exchange(self, key: str, ask: Ask) -> tuple[str, datetime]:
        """An access token for a service account's key, and its end; raises CredentialsInvalid."""
        async with self._database.reading() as tx:
            found = await tx.api_keys.find_by_hash(key_hash(key))
            account = await tx.accounts.find(found.account_id) if found else None
        if found is None or account is None:
            raise CredentialsInvalid
        return await self._tokens.issue(account, found.id)

    async def create(
        self, caller: Caller, account_id: UUID, expire_time: datetime | None, ask: Ask
    ) -> tuple[ApiKey, str]:
        raise NotImplementedError

    async def list_live(self, account_id: UUID) -> Sequence[ApiKey]:
        raise NotImplementedError

    async def delete(self, caller: Caller, key_id: UUID, ask: Ask) -> None:
        raise NotImplementedError
