from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from server.frame.caller import Caller
from server.frame.errors import TokenInvalid
from server.frame.repeating import once
from server.identity.errors import CredentialsInvalid, EmailTaken, PasswordAbsent
from server.identity.passwords import Passwords
from server.identity.roles import CUSTOMER
from server.identity.rules.accounts import normal_email
from server.identity.rules.roles import known_roles
from storage.database import Database
from storage.frame.records import Ask
from storage.identity.records import Account, AccountKind


class Accounts:
    """Who people are."""

    def __init__(
        self, database: Database, passwords: Passwords, now: Callable[[], datetime], new_id: Callable[[], UUID]
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._now = now
        self._new_id = new_id

    async def create(self, email: str, password: str, name: str, roles: Sequence[str], ask: Ask) -> Account:
        """Creates a person whose address counts as verified; raises EmailTaken, RoleNotFound."""
        granted = known_roles(roles)
        password_hash = await self._passwords.hash(password)
        now = self._now()
        account = Account(self._new_id(), AccountKind.PERSON, normal_email(email), name, granted, now, now)
        async with self._database.transaction() as tx:
            if not await tx.accounts.add(account, password_hash=password_hash):
                raise EmailTaken
            await tx.audit.record([ask.entry(f"account/{account.id}")])
        return account

    async def register(self, email: str, password: str, name: str, ask: Ask) -> Account:
        """Registers a person; raises EmailTaken."""
        address = normal_email(email)
        password_hash = await self._passwords.hash(password)
        async with self._database.transaction() as tx:

            async def act() -> Account:
                account = Account(self._new_id(), AccountKind.PERSON, address, name, (CUSTOMER,), self._now())
                if not await tx.accounts.add(account, password_hash=password_hash):
                    raise EmailTaken
                return account

            return await once(tx, ask, Account, act, lambda account: f"account/{account.id}")

    async def get(self, caller: Caller) -> Account:
        """The caller's own account; raises TokenInvalid where it no longer exists."""
        async with self._database.reading() as tx:
            account = await tx.accounts.find(caller.account_id)
        if account is None:
            raise TokenInvalid
        return account

    async def change_password(self, caller: Caller, current: str, new: str, ask: Ask) -> None:
        """Changes the caller's password and ends its sessions; raises CredentialsInvalid, PasswordAbsent."""
        async with self._database.transaction() as tx:

            async def act() -> bool:
                known = await tx.accounts.password_hash(caller.account_id)
                if known is None:
                    raise PasswordAbsent
                if not await self._passwords.verify(current, known):
                    raise CredentialsInvalid
                changed = await self._passwords.hash(new)
                if not await tx.accounts.set_password_hash(caller.account_id, changed, instead_of=known):
                    raise CredentialsInvalid
                await tx.sessions.end_all(caller.account_id, self._now())
                return True

            await once(tx, ask, bool, act, f"account/{caller.account_id}")
