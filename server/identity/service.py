"""The use cases of identity; each public method is one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from server.frame.caller import Caller
from server.frame.errors import TokenInvalid
from server.frame.repeating import once
from server.identity import rules
from server.identity.errors import AccountNotFound, CredentialsInvalid, EmailTaken, NameTaken, PasswordAbsent
from server.identity.passwords import Passwords
from server.identity.roles import ADMIN, CUSTOMER, SERVICE
from server.identity.tokens import AccessTokens, Secrets, key_hash
from storage.database import Database, Transaction
from storage.frame.records import RequestKey
from storage.identity.records import Account, AccountKind, Session

Clock = Callable[[], datetime]
NewId = Callable[[], UUID]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a person holds who signed in."""

    access_token: str
    access_token_expire_time: datetime
    refresh_token: str
    refresh_token_expire_time: datetime


class Accounts:
    """Who people are."""

    def __init__(self, database: Database, passwords: Passwords, now: Clock, new_id: NewId) -> None:
        self._database = database
        self._passwords = passwords
        self._now = now
        self._new_id = new_id

    async def register(
        self, email: str, password: str, name: str, key: RequestKey | None, *, roles: Sequence[str] = (CUSTOMER,)
    ) -> Account:
        """Registers a person; raises EmailTaken."""
        address = rules.normal_email(email)
        granted = rules.known_roles(roles)
        password_hash = await self._passwords.hash(password)
        async with self._database.transaction() as tx:

            async def act() -> Account:
                account = Account(self._new_id(), AccountKind.PERSON, address, name, granted, self._now())
                if not await tx.accounts.add(account, password_hash=password_hash):
                    raise EmailTaken
                return account

            return await once(tx, key, Account, act)

    async def get(self, caller: Caller) -> Account:
        """The caller's own account; raises TokenInvalid where it no longer exists."""
        async with self._database.reading() as tx:
            account = await tx.accounts.find(caller.account_id)
        if account is None:
            raise TokenInvalid
        return account

    async def change_password(self, caller: Caller, current: str, new: str, key: RequestKey | None) -> None:
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

            await once(tx, key, bool, act)


class Sessions:
    """Who is signed in."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        tokens: AccessTokens,
        secrets: Secrets,
        now: Clock,
        new_id: NewId,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._tokens = tokens
        self._secrets = secrets
        self._now = now
        self._new_id = new_id

    async def login(self, email: str, password: str) -> SignedIn:
        """Opens a session; raises CredentialsInvalid, after the same work whatever was wrong."""
        async with self._database.reading() as tx:
            found = await tx.accounts.find_by_email(rules.normal_email(email))
        account, known = found or (None, None)
        if not await self._passwords.verify(password, known) or account is None:
            raise CredentialsInvalid
        now = self._now()
        session = Session(self._new_id(), account.id, 0, now, now, now + rules.SESSION_LIFE, None)
        async with self._database.transaction() as tx:
            # The password may have been changed, and all sessions ended, while this one was being checked.
            if await tx.accounts.lock_password_hash(account.id) != known:
                raise CredentialsInvalid
            await tx.sessions.add(session)
        return await self._signed_in(account, session)

    async def refresh(self, token: str) -> SignedIn:
        """Goes on with a session; raises CredentialsInvalid, and ends the session of a token that two hold."""
        claim = await self._secrets.read_refresh_token(token)
        async with self._database.transaction() as tx:
            renewed = await self._renew(tx, claim)
        if renewed is None:
            raise CredentialsInvalid
        return await self._signed_in(*renewed)

    async def logout(self, token: str) -> None:
        """Ends a token's session; whether there was one is not told."""
        try:
            claim = await self._secrets.read_refresh_token(token)
        except CredentialsInvalid:
            return
        async with self._database.transaction() as tx:
            await tx.sessions.end(claim.session_id, self._now())

    async def exchange_key(self, key: str) -> tuple[str, datetime]:
        """An access token for a service account's key, and its end; raises CredentialsInvalid."""
        async with self._database.reading() as tx:
            account = await tx.accounts.find_by_key_hash(key_hash(key))
        if account is None:
            raise CredentialsInvalid
        return await self._tokens.issue(account)

    async def _renew(self, tx: Transaction, claim: rules.RefreshClaim) -> tuple[Account, Session] | None:
        """The session as it goes on; None where it does not, which must be committed and not rolled back."""
        now = self._now()
        session = await tx.sessions.lock(claim.session_id)
        decision = rules.renewal(session, claim.generation, now)
        if session is None or decision is rules.Renewal.ENDED:
            return None
        if decision is rules.Renewal.REUSED:
            await tx.sessions.end(session.id, now)
            return None
        if decision is rules.Renewal.NEXT:
            session = replace(session, generation=session.generation + 1, refresh_time=now)
            await tx.sessions.refresh(session.id, session.generation, now)
        account = await tx.accounts.find(session.account_id)
        return (account, session) if account else None

    async def _signed_in(self, account: Account, session: Session) -> SignedIn:
        access_token, expire_time = await self._tokens.issue(account)
        return SignedIn(access_token, expire_time, await self._secrets.refresh_token(session), session.expire_time)


class AccessControl:
    """Who may do what."""

    def __init__(self, database: Database, secrets: Secrets, now: Clock, new_id: NewId) -> None:
        self._database = database
        self._secrets = secrets
        self._now = now
        self._new_id = new_id

    async def grant(self, account_id: UUID, role: str, key: RequestKey | None) -> Sequence[str]:
        """Grants a role, and returns all that the account has; raises RoleNotFound, AccountNotFound."""
        async with self._database.transaction() as tx:

            async def act() -> tuple[str, ...]:
                rules.known_roles([role])
                await _existing(tx, account_id)
                await tx.accounts.grant(account_id, [role], self._now())
                return (await _existing(tx, account_id)).roles

            return await once(tx, key, tuple[str, ...], act)

    async def revoke(self, account_id: UUID, role: str, key: RequestKey | None) -> Sequence[str]:
        """Revokes a role, and returns what is left; raises RoleNotFound, AccountNotFound, LastAdmin."""
        async with self._database.transaction() as tx:

            async def act() -> tuple[str, ...]:
                rules.known_roles([role])
                await _existing(tx, account_id)
                holders = await tx.accounts.lock_holders(role) if role == ADMIN else []
                rules.may_lose(role, account_id, holders)
                await tx.accounts.revoke(account_id, role)
                return (await _existing(tx, account_id)).roles

            return await once(tx, key, tuple[str, ...], act)

    async def list_users(
        self, *, role: str | None, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Account]:
        async with self._database.reading() as tx:
            return await tx.accounts.list_people(role=role, after=after, limit=limit)

    async def create_service_account(
        self, name: str, roles: Sequence[str], key: RequestKey | None
    ) -> tuple[Account, str]:
        """Creates an account and returns it with its key; raises RoleNotFound, NameTaken."""
        async with self._database.transaction() as tx:

            async def act() -> Account:
                granted = rules.known_roles(roles or [SERVICE])
                account = Account(self._new_id(), AccountKind.SERVICE, None, name, granted, self._now())
                hashed = key_hash(await self._secrets.service_key(account.id))
                if not await tx.accounts.add(account, key_hash=hashed):
                    raise NameTaken
                return account

            account = await once(tx, key, Account, act)
        return account, await self._secrets.service_key(account.id)


async def _existing(tx: Transaction, account_id: UUID) -> Account:
    account = await tx.accounts.find(account_id)
    if account is None:
        raise AccountNotFound(account_id=str(account_id))
    return account
