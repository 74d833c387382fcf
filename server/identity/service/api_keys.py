from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.frame.answers import DONE
from server.frame.caller import Caller
from server.frame.repeating import once, once_in
from server.frame.shielding import ShieldedTasks
from server.identity.credentials.secrets import KeyMaking, Secrets, key_hash, well_formed
from server.identity.credentials.tokens import AccessTokens
from server.identity.errors import CredentialsInvalid, KeyNotFound, NameTaken, TooManyAttempts
from server.identity.rules import api_keys as rules
from server.identity.rules.roles import BuiltInRoles
from server.identity.rules.throttling import exchanging
from server.identity.service.answers import ACCOUNT, API_KEY
from server.identity.service.granting import grantable, require_permissions_of
from server.identity.service.refusal_audit import RefusalAudit
from server.identity.service.throttling import Throttling
from storage.frame.records import ChangeContext
from storage.identity.records import Account, AccountKind, ApiKey
from storage.identity.store import IdentityStore, IdentityTransaction


class ApiKeys:
    """How services come in."""

    def __init__(
        self,
        store: IdentityStore,
        tokens: AccessTokens,
        secrets: Secrets,
        throttling: Throttling,
        refusal_audit: RefusalAudit,
        built_in: BuiltInRoles,
        shielded: ShieldedTasks,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._secrets = secrets
        self._throttling = throttling
        self._refusal_audit = refusal_audit
        self._built_in = built_in
        self._shielded = shielded
        self._now = now
        self._new_id = new_id

    async def create_account(
        self, caller: Caller | None, name: str, roles: Sequence[str], context: ChangeContext
    ) -> tuple[Account, str]:
        """Creates an account and returns it with its key; raises RoleNotFound, PermissionNotHeld, NameTaken.

        A command has no caller, and gives whatever roles it names.
        """
        making = await self._secrets.key_making(self._now())

        async def act(tx: IdentityTransaction) -> Account:
            granted = await grantable(tx, self._built_in, caller, roles)
            account = Account(self._new_id(), AccountKind.SERVICE, None, name, granted, self._now())
            if not await tx.accounts.add(account):
                raise NameTaken(name=name)
            # The first key has the account's id, and so it is found again.
            await _make(tx, making, account.id, account.id, account.create_time, None)
            return account

        async with self._refusal_audit.recorded(context, "account/"), self._store.transaction() as tx:
            account = await once_in(tx, context, ACCOUNT, act, lambda account: f"account/{account.id}")
            return account, making.again(account.id, await tx.api_keys.hash_of(account.id))

    async def create(
        self, caller: Caller, account_id: UUID, expire_time: datetime | None, context: ChangeContext
    ) -> tuple[ApiKey, str]:
        """Makes another key; raises FieldInvalid, AccountNotFound, PermissionNotHeld, TooManyKeys."""
        making = await self._secrets.key_making(self._now())

        async def act(tx: IdentityTransaction) -> ApiKey:
            now = self._now()
            rules.require_future(expire_time, now)
            account = rules.require_service(await tx.accounts.lock(account_id), str(account_id))
            await require_permissions_of(tx, self._built_in, caller, account)
            rules.require_free_slot(await tx.api_keys.list_live(account_id, now))
            return await _make(tx, making, self._new_id(), account_id, now, expire_time)

        async with self._refusal_audit.recorded(context, f"account/{account_id}"), self._store.transaction() as tx:
            key = await once_in(tx, context, API_KEY, act, lambda key: f"key/{key.id}")
            return key, making.again(key.id, await tx.api_keys.hash_of(key.id))

    async def list_live(self, account_id: UUID, *, after: tuple[datetime, UUID] | None, limit: int) -> Sequence[ApiKey]:
        """Up to so many behind a key of (create_time, id), oldest first; raises AccountNotFound."""
        async with self._store.reading() as reading:
            rules.require_service(await reading.accounts.find(account_id), str(account_id))
            live = await reading.api_keys.list_live(account_id, self._now())
        return [key for key in live if after is None or (key.create_time, key.id) > after][:limit]

    async def delete(self, caller: Caller, key_id: UUID, context: ChangeContext) -> None:
        """Ends a key, on every server within a second; raises KeyNotFound, PermissionNotHeld."""

        async def act(tx: IdentityTransaction) -> None:
            key = await tx.api_keys.find(key_id)
            if key is None:
                raise KeyNotFound(key_id=str(key_id))
            account = rules.require_service(await tx.accounts.lock(key.account_id), str(key.account_id))
            await require_permissions_of(tx, self._built_in, caller, account)
            if await tx.api_keys.end(key_id, self._now()):
                await tx.access_changes.add([key.account_id], self._now())

        async with self._refusal_audit.recorded(context, f"key/{key_id}"):
            await once(self._store, context, DONE, act, f"key/{key_id}")

    async def exchange(self, key: str, context: ChangeContext) -> tuple[str, datetime]:
        """An access token, and its end, which is not after the key's; raises CredentialsInvalid.

        What is refused is recorded: of very many from one address, those that the limit of sign-ins would let through.
        """
        return await self._shielded.run(self._exchange(key, context))

    async def identify(self, key: str, context: ChangeContext) -> ApiKey:
        """The key that is shown, without a token for it; what is refused, and recorded, is the same."""
        found, _ = await self._shielded.run(self._taken(key, context))
        return found

    async def _exchange(self, key: str, context: ChangeContext) -> tuple[str, datetime]:
        found, account = await self._taken(key, context)
        return await self._tokens.issue(account, found.id, until=found.expire_time)

    async def _taken(self, key: str, context: ChangeContext) -> tuple[ApiKey, Account]:
        now, kept, account = self._now(), None, None
        if well_formed(key):
            async with self._store.reading() as reading:
                kept = await reading.api_keys.find_by_hash(key_hash(key))
                account = await reading.accounts.find(kept.account_id) if kept else None
        try:
            found, account = rules.taken(kept, account, now)
        except CredentialsInvalid:
            await self._refuse(kept, context)
            raise
        minute = rules.use_to_note(found, now)
        if minute is not None:
            async with self._store.transaction() as tx:
                if await tx.api_keys.note_use(found.id, minute):
                    await tx.audit.record([replace(context, caller_id=account.id).entry(f"key/{found.id}")])
        return found, account

    async def _refuse(self, kept: ApiKey | None, context: ChangeContext) -> None:
        # The record is kept for ever, and must not grow by whatever anybody sends.
        with suppress(TooManyAttempts):
            await self._throttling.begin([exchanging(context.address)])
            async with self._store.transaction() as tx:
                resource = f"key/{kept.id}" if kept else "key/"
                await tx.audit.record([context.entry(resource, CredentialsInvalid.reason)])


async def _make(
    tx: IdentityTransaction,
    making: KeyMaking,
    key_id: UUID,
    account_id: UUID,
    now: datetime,
    expire_time: datetime | None,
) -> ApiKey:
    secret = making.key(key_id)
    key = ApiKey(key_id, account_id, secret[: rules.PREFIX], now, expire_time, None, None)
    await tx.api_keys.add(key, key_hash(secret))
    return key
