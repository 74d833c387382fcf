from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from server.frame.caller import Caller
from server.frame.errors import FieldInvalid, Overloaded, TokenInvalid
from server.frame.repeating import find_answer, once, once_in
from server.frame.retention import purge_in_batches
from server.frame.shielding import ShieldedTasks
from server.identity.credentials.devices import Devices
from server.identity.credentials.passwords import Passwords
from server.identity.errors import CredentialsInvalid, EmailTaken, PasswordAbsent, PasswordTooWeak
from server.identity.permissions import CUSTOMER
from server.identity.rules import throttling
from server.identity.rules.accounts import UNVERIFIED_RETENTION, new_email
from server.identity.rules.devices import KeptDevice
from server.identity.rules.mails import Occasion
from server.identity.rules.roles import BuiltInRoles
from server.identity.service.address_owners import settle_address
from server.identity.service.answers import ACCOUNT, DEVICE
from server.identity.service.granting import grantable
from server.identity.service.mailing import Mailing
from server.identity.service.throttling import Attempt, Throttling
from storage.frame.records import NOBODY, ChangeContext
from storage.identity.records import Account, AccountKind
from storage.identity.store import IdentityStore, IdentityTransaction

PURGE_UNVERIFIED = "identity.purge_unverified"


@dataclass(frozen=True, slots=True)
class _Change:
    """One hash of a password that is to take another's place."""

    account_id: UUID
    of: str = field(repr=False)
    to: str | None = field(repr=False)
    """None where the current password was wrong."""


class Accounts:
    """Who people are."""

    def __init__(
        self,
        store: IdentityStore,
        passwords: Passwords,
        throttling: Throttling,
        mailing: Mailing,
        devices: Devices,
        shielded: ShieldedTasks,
        built_in: BuiltInRoles,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._throttling = throttling
        self._mailing = mailing
        self._devices = devices
        self._shielded = shielded
        self._built_in = built_in
        self._now = now
        self._new_id = new_id

    async def create(
        self, email: str, password: str, name: str, roles: Sequence[str], context: ChangeContext
    ) -> Account:
        """Creates a person whose address counts as verified.

        Raises PasswordTooWeak, FieldInvalid, EmailTaken, RoleNotFound.
        """
        address = new_email(email)
        await self._passwords.refuse_weak(password, address, "password")
        password_hash = await self._passwords.hash(password)
        now = self._now()
        async with self._store.transaction() as tx:
            granted = await grantable(tx, self._built_in, None, roles)
            await tx.accounts.lock_email(address)
            account = Account(self._new_id(), AccountKind.PERSON, address, name, granted, now, now)
            if not await tx.accounts.add(account, password_hash=password_hash):
                raise EmailTaken
            await tx.audit.record([context.entry(f"account/{account.id}")])
            await settle_address(tx, address, now, context)
        return account

    async def register(self, email: str, password: str, name: str, context: ChangeContext) -> Account:
        """Registers a person who is to verify the address; where another has it, says so to nobody but its owner.

        The answer is then an account that does not exist. Of several that register with one address, each has a token
        of its own, and the first that is used decides whose password and name count.
        Raises FieldInvalid, PasswordTooWeak, TooManyAttempts, Overloaded.
        """
        earlier = await find_answer(self._store, context, ACCOUNT)
        if earlier is not None:
            return earlier
        address = new_email(email)
        # Counted first: how hard a password is to guess is worked out at some cost.
        attempt = await self._throttling.begin(throttling.registering(context.address))
        try:
            await self._passwords.refuse_weak(password, address, "password")
            password_hash = await self._passwords.hash(password)
        except Overloaded:
            await self._throttling.withdraw(attempt)
            raise

        async def act(tx: IdentityTransaction) -> Account:
            account = Account(self._new_id(), AccountKind.PERSON, address, name, (CUSTOMER,), self._now())
            await self._add_or_notify(tx, account, password_hash, context)
            return account

        return await once(self._store, context, ACCOUNT, act, None)

    async def _add_or_notify(
        self, tx: IdentityTransaction, account: Account, password_hash: str, context: ChangeContext
    ) -> None:
        """As many statements either way."""
        address = account.email or ""
        if await tx.accounts.add(account, password_hash=password_hash):
            entry = context.entry(f"account/{account.id}")
        else:
            owner, _ = await tx.accounts.find_by_email(address) or (None, None)
            entry = context.entry(f"account/{owner.id}" if owner else "account/", EmailTaken.reason)
        await self._mailing.ask(tx, Occasion.REGISTERED, address, account.id)
        await tx.audit.record([entry])

    async def purge_unverified(self) -> None:
        """Removes those who registered long ago and did not verify their address."""
        now = self._now()

        async def some(tx: IdentityTransaction, limit: int) -> int:
            removed = await tx.accounts.purge_unverified(now - UNVERIFIED_RETENTION, limit)
            job = ChangeContext(NOBODY, PURGE_UNVERIFIED, now)
            await tx.audit.record([job.entry(f"account/{account_id}") for account_id in removed])
            return len(removed)

        await purge_in_batches(self._store, some)

    async def get(self, caller: Caller) -> Account:
        """The caller's own account; raises TokenInvalid where it no longer exists."""
        async with self._store.reading() as reading:
            account = await reading.accounts.find(caller.account_id)
        if account is None:
            raise TokenInvalid
        return account

    async def change_password(self, caller: Caller, current: str, new: str, context: ChangeContext) -> str:
        """Changes the caller's password, and ends its sessions, its devices and the tokens of mails.

        Returns a token of the device that it was changed by.

        Raises PasswordAbsent, PasswordTooWeak, TooManyAttempts, Overloaded, CredentialsInvalid.
        """
        kept = await self._shielded.run(self._change_password(caller, current, new, context))
        return await self._devices.kept_token(kept)

    async def _change_password(self, caller: Caller, current: str, new: str, context: ChangeContext) -> KeptDevice:
        if (earlier := await find_answer(self._store, context, DEVICE)) is not None:
            return earlier
        async with self._store.reading() as reading:
            account = await reading.accounts.find(caller.account_id)
            known = await reading.accounts.password_hash(caller.account_id)
        if account is None or account.email is None or known is None:
            raise PasswordAbsent
        # Whoever holds a stolen token may guess here. It counts by the session, so that nobody else holds its owner up.
        attempt = await self._throttling.begin(throttling.signing_in_with(caller.issued_for or caller.account_id))
        try:
            await self._passwords.refuse_weak(new, account.email, "new_password")
            changed = await self._passwords.hash(new) if await self._passwords.verify(current, known) else None
        except (FieldInvalid, PasswordTooWeak, Overloaded):
            await self._throttling.withdraw(attempt)
            raise
        change = _Change(account.id, known, changed)
        try:
            return await self._change(change, attempt, context)
        except CredentialsInvalid:
            async with self._store.transaction() as tx:
                await tx.audit.record([context.entry(f"account/{account.id}", CredentialsInvalid.reason)])
            raise

    async def _change(self, change: _Change, attempt: Attempt, context: ChangeContext) -> KeptDevice:
        """Makes a change, or finds that it was made by an earlier copy of the request."""

        async def act(tx: IdentityTransaction) -> KeptDevice:
            now = self._now()
            if change.to is None or not await tx.accounts.change_password_hash(
                change.account_id, change.to, now, instead_of=change.of
            ):
                raise CredentialsInvalid
            await tx.mail_tokens.end_live(change.account_id)
            await tx.sessions.end_all(change.account_id, now)
            await tx.access_changes.add([change.account_id], now)
            return self._devices.made(change.account_id, now)

        async with self._store.transaction() as tx:
            kept = await once_in(tx, context, DEVICE, act, f"account/{change.account_id}")
            await self._throttling.succeeded(tx, attempt)
            return kept
