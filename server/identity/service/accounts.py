from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from server.frame.caller import Caller
from server.frame.errors import FieldInvalid, Overloaded, TokenInvalid
from server.frame.finishing import Finishing
from server.frame.keeping import forget
from server.frame.repeating import once, once_in, repeated
from server.identity.credentials.devices import Devices
from server.identity.credentials.passwords import Passwords
from server.identity.errors import CredentialsInvalid, EmailTaken, PasswordAbsent, PasswordTooWeak
from server.identity.permissions import CUSTOMER
from server.identity.rules import throttling
from server.identity.rules.accounts import UNVERIFIED_KEPT, new_email
from server.identity.rules.devices import KeptDevice
from server.identity.rules.mails import Occasion
from server.identity.rules.roles import BuiltInRoles
from server.identity.service.answers import ACCOUNT, DEVICE
from server.identity.service.granting import grantable
from server.identity.service.mailing import Mailing
from server.identity.service.owning import settle_address
from server.identity.service.throttling import Attempt, Throttling
from storage.frame.records import NOBODY, Ask
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
        finishing: Finishing,
        built_in: BuiltInRoles,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._throttling = throttling
        self._mailing = mailing
        self._devices = devices
        self._finishing = finishing
        self._built_in = built_in
        self._now = now
        self._new_id = new_id

    async def create(self, email: str, password: str, name: str, roles: Sequence[str], ask: Ask) -> Account:
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
            await tx.audit.record([ask.entry(f"account/{account.id}")])
            await settle_address(tx, address, now, ask)
        return account

    async def register(self, email: str, password: str, name: str, ask: Ask) -> Account:
        """Registers a person who is to verify the address; where another has it, says so to nobody but its owner.

        The answer is then an account that does not exist. Of several that register with one address, each has a token
        of its own, and the first that is used decides whose password and name count.
        Raises FieldInvalid, PasswordTooWeak, TooManyAttempts, Overloaded.
        """
        earlier = await repeated(self._store, ask, ACCOUNT)
        if earlier is not None:
            return earlier
        address = new_email(email)
        # Counted first: how hard a password is to guess is worked out at some cost.
        attempt = await self._throttling.begin(throttling.registering(ask.address))
        try:
            await self._passwords.refuse_weak(password, address, "password")
            password_hash = await self._passwords.hash(password)
        except Overloaded:
            await self._throttling.taken_back(attempt)
            raise

        async def act(tx: IdentityTransaction) -> Account:
            account = Account(self._new_id(), AccountKind.PERSON, address, name, (CUSTOMER,), self._now())
            await self._add_or_tell(tx, account, password_hash, ask)
            return account

        return await once(self._store, ask, ACCOUNT, act, None)

    async def _add_or_tell(self, tx: IdentityTransaction, account: Account, password_hash: str, ask: Ask) -> None:
        """As many statements either way."""
        address = account.email or ""
        if await tx.accounts.add(account, password_hash=password_hash):
            entry = ask.entry(f"account/{account.id}")
        else:
            owner, _ = await tx.accounts.find_by_email(address) or (None, None)
            entry = ask.entry(f"account/{owner.id}" if owner else "account/", EmailTaken.reason)
        await self._mailing.ask(tx, Occasion.REGISTERED, address, account.id)
        await tx.audit.record([entry])

    async def purge_unverified(self) -> None:
        """Removes those who registered long ago and did not verify their address."""
        now = self._now()

        async def some(tx: IdentityTransaction, limit: int) -> int:
            removed = await tx.accounts.purge_unverified(now - UNVERIFIED_KEPT, limit)
            job = Ask(NOBODY, PURGE_UNVERIFIED, now)
            await tx.audit.record([job.entry(f"account/{account_id}") for account_id in removed])
            return len(removed)

        await forget(self._store, some)

    async def get(self, caller: Caller) -> Account:
        """The caller's own account; raises TokenInvalid where it no longer exists."""
        async with self._store.reading() as reading:
            account = await reading.accounts.find(caller.account_id)
        if account is None:
            raise TokenInvalid
        return account

    async def change_password(self, caller: Caller, current: str, new: str, ask: Ask) -> str:
        """Changes the caller's password, and ends its sessions, its devices and the tokens of mails.

        Returns a token of the device that it was changed by.

        Raises PasswordAbsent, PasswordTooWeak, TooManyAttempts, Overloaded, CredentialsInvalid.
        """
        kept = await self._finishing.finished(self._change_password(caller, current, new, ask))
        return await self._devices.kept_token(kept)

    async def _change_password(self, caller: Caller, current: str, new: str, ask: Ask) -> KeptDevice:
        if (earlier := await repeated(self._store, ask, DEVICE)) is not None:
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
            await self._throttling.taken_back(attempt)
            raise
        change = _Change(account.id, known, changed)
        try:
            return await self._change(change, attempt, ask)
        except CredentialsInvalid:
            async with self._store.transaction() as tx:
                await tx.audit.record([ask.entry(f"account/{account.id}", CredentialsInvalid.reason)])
            raise

    async def _change(self, change: _Change, attempt: Attempt, ask: Ask) -> KeptDevice:
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
            kept = await once_in(tx, ask, DEVICE, act, f"account/{change.account_id}")
            await self._throttling.succeeded(tx, attempt)
            return kept
