from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.frame.caller import Caller
from server.identity.errors import CredentialsInvalid
from server.identity.rules import sessions as rules
from server.identity.secrets import Secrets
from server.identity.service.signed_in import SignedIn, signed_in
from server.identity.tokens import AccessTokens
from storage.database import Database, Transaction
from storage.frame.records import Ask
from storage.identity.records import Account, Session


class Sessions:
    """Who is signed in."""

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

    async def refresh(self, token: str, ask: Ask) -> SignedIn:
        """Goes on with a session; raises CredentialsInvalid, and ends the session of a token that two hold."""
        claim = await self._secrets.read_refresh_token(token)
        async with self._database.transaction() as tx:
            renewed = await self._renew(tx, claim)
        if renewed is None:
            raise CredentialsInvalid
        return await signed_in(self._tokens, self._secrets, *renewed)

    async def logout(self, token: str, ask: Ask) -> None:
        """Ends a token's session; whether there was one is not told."""
        try:
            claim = await self._secrets.read_refresh_token(token)
        except CredentialsInvalid:
            return
        async with self._database.transaction() as tx:
            await tx.sessions.end(claim.session_id, self._now())

    async def list_latest(
        self, caller: Caller, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Session]:
        raise NotImplementedError

    async def revoke(self, caller: Caller, session_id: UUID, ask: Ask) -> None:
        raise NotImplementedError

    async def revoke_all(self, caller: Caller, ask: Ask, *, keep_current: bool) -> int:
        raise NotImplementedError

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
