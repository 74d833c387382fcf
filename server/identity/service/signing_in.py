from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.identity.errors import CredentialsInvalid
from server.identity.passwords import Passwords
from server.identity.rules.accounts import normal_email
from server.identity.rules.sessions import SESSION_LIFE
from server.identity.secrets import Secrets
from server.identity.service.signed_in import SignedIn, signed_in
from server.identity.tokens import AccessTokens
from storage.database import Database
from storage.frame.records import Ask
from storage.identity.records import Session


class SigningIn:
    """How a person comes in."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        tokens: AccessTokens,
        secrets: Secrets,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._tokens = tokens
        self._secrets = secrets
        self._now = now
        self._new_id = new_id

    async def login(self, email: str, password: str, user_agent: str, ask: Ask) -> SignedIn:
        """Opens a session; raises CredentialsInvalid, after the same work whatever was wrong."""
        async with self._database.reading() as tx:
            found = await tx.accounts.find_by_email(normal_email(email))
        account, known = found or (None, None)
        if not await self._passwords.verify(password, known) or account is None:
            raise CredentialsInvalid
        now = self._now()
        session = Session(self._new_id(), account.id, 0, now, now, now + SESSION_LIFE, None, ask.address, user_agent)
        async with self._database.transaction() as tx:
            # The password may have been changed, and all sessions ended, while this one was being checked.
            if await tx.accounts.lock_password_hash(account.id) != known:
                raise CredentialsInvalid
            await tx.sessions.add(session)
            await tx.audit.record([replace(ask, caller_id=account.id).entry(f"session/{session.id}")])
        return await signed_in(self._tokens, self._secrets, account, session)
