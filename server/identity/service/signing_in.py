from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from server.frame.errors import Overloaded
from server.frame.shielding import ShieldedTasks
from server.identity.credentials.devices import Devices
from server.identity.credentials.passwords import Match, Passwords
from server.identity.credentials.secrets import Secrets
from server.identity.credentials.tokens import AccessTokens
from server.identity.errors import CredentialsInvalid
from server.identity.rules import throttling
from server.identity.rules.accounts import may_sign_in, normal_email
from server.identity.rules.sessions import SESSION_LIFE
from server.identity.service.signed_in import SignedIn, signed_in
from server.identity.service.throttling import Attempt, Throttling
from storage.frame.records import ChangeContext
from storage.identity.records import Account, Session
from storage.identity.store import IdentityStore

_CHECKS = 3
"""How often a password is checked anew whose hash was replaced meanwhile by another sign-in's better one."""


@dataclass(frozen=True, slots=True)
class _LoginAttempt:
    """One attempt to sign in."""

    password: str = field(repr=False)
    user_agent: str
    ask: ChangeContext
    attempt: Attempt


class SigningIn:
    """How a person comes in."""

    def __init__(
        self,
        store: IdentityStore,
        passwords: Passwords,
        throttling: Throttling,
        tokens: AccessTokens,
        secrets: Secrets,
        devices: Devices,
        shielded: ShieldedTasks,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._throttling = throttling
        self._tokens = tokens
        self._secrets = secrets
        self._devices = devices
        self._shielded = shielded
        self._now = now
        self._new_id = new_id

    async def login(
        self, email: str, password: str, user_agent: str, context: ChangeContext, device_token: str = ""
    ) -> SignedIn:
        """Opens a session; who shows a device of the account's owner is not held up by what others tried.

        Raises TooManyAttempts and Overloaded, before anything is checked, and CredentialsInvalid, after the same work
        whatever was wrong. An attempt is recorded, whatever its caller does meanwhile.
        """
        return await self._shielded.run(self._login(email, password, user_agent, context, device_token))

    async def _login(
        self, email: str, password: str, user_agent: str, context: ChangeContext, device_token: str
    ) -> SignedIn:
        address = normal_email(email)
        account, known = await self._found(address)
        device = await self._devices.read(device_token, account)
        counters = throttling.signing_in_with(device.id) if device else throttling.signing_in(address, context.address)
        login_attempt = _LoginAttempt(password, user_agent, context, await self._throttling.begin(counters))
        session = await self._opened(login_attempt, account, known)
        if account is None or session is None:
            async with self._store.transaction() as tx:
                resource = f"account/{account.id}" if account else "account/"
                await tx.audit.record([context.entry(resource, CredentialsInvalid.reason)])
            raise CredentialsInvalid
        opened = await signed_in(self._tokens, self._secrets, account, session)
        return replace(
            opened, device_token=await self._devices.token(self._devices.made(account.id, session.create_time))
        )

    async def _found(self, address: str) -> tuple[Account | None, str | None]:
        """The account and the hash of its password."""
        async with self._store.reading() as reading:
            return await reading.accounts.find_by_email(address) or (None, None)

    async def _opened(self, login_attempt: _LoginAttempt, account: Account | None, known: str | None) -> Session | None:
        """A new session; None where the password is wrong, or nobody may sign in with it."""
        for _ in range(_CHECKS):
            match = await self._fits(login_attempt, known)
            if not match or account is None or known is None or not may_sign_in(account):
                return None
            session, held = await self._open(login_attempt, account, known)
            if session is not None:
                # Only whoever knows the password can tell that this takes longer.
                await self._rehash(account, known, login_attempt.password, match)
            if session is not None or held is None:
                return session
            known = held
        return None

    async def _fits(self, login_attempt: _LoginAttempt, known: str | None) -> Match:
        try:
            return await self._passwords.verify(login_attempt.password, known)
        except Overloaded:
            await self._throttling.withdraw(login_attempt.attempt)
            raise

    async def _open(
        self, login_attempt: _LoginAttempt, account: Account, known: str
    ) -> tuple[Session | None, str | None]:
        """A session; or the hash that the account has now, where it is another than the one that was checked."""
        now, ask = self._now(), login_attempt.ask
        expire_time = now + SESSION_LIFE
        session = Session(
            self._new_id(), account.id, 0, now, now, expire_time, None, ask.address, user_agent=login_attempt.user_agent
        )
        async with self._store.transaction() as tx:
            # The password may have been changed, and all sessions ended, while this one was being checked.
            held = await tx.accounts.lock_password_hash(account.id)
            if held != known:
                return None, held
            await tx.sessions.add(session)
            await tx.audit.record([replace(ask, caller_id=account.id).entry(f"session/{session.id}")])
            await self._throttling.succeeded(tx, login_attempt.attempt)
        return session, held

    async def _rehash(self, account: Account, known: str, password: str, match: Match) -> None:
        """Hashes a password anew where the parameters have risen, or it was not normalized; unless it was changed."""
        if match is not Match.AS_TYPED and not self._passwords.outdated(known):
            return
        try:
            renewed = await self._passwords.hash(password)
        except Overloaded:
            return  # the next sign-in will do
        async with self._store.transaction() as tx:
            await tx.accounts.renew_password_hash(account.id, renewed, instead_of=known)
