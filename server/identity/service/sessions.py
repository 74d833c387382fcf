from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.frame.answers import DONE
from server.frame.caller import Caller
from server.frame.repeating import once
from server.frame.retention import purge_in_batches
from server.identity.credentials.secrets import Secrets
from server.identity.credentials.tokens import AccessTokens
from server.identity.errors import CredentialsInvalid, SessionNotFound
from server.identity.rules import sessions as rules
from server.identity.service.answers import ENDED_SESSIONS
from server.identity.service.signed_in import SignedIn, signed_in
from storage.frame.records import ChangeContext
from storage.identity.records import Account, Session
from storage.identity.store import IdentityStore, IdentityTransaction


class Sessions:
    """Who is signed in."""

    def __init__(
        self, store: IdentityStore, tokens: AccessTokens, secrets: Secrets, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._secrets = secrets
        self._now = now

    async def refresh(self, token: str, context: ChangeContext) -> SignedIn:
        """Goes on with a session; raises CredentialsInvalid, and ends the session of a token that two hold."""
        claim = await self._secrets.read_refresh_token(token)
        async with self._store.transaction() as tx:
            renewed = await self._renew(tx, claim, context)
        if renewed is None:
            raise CredentialsInvalid
        return await signed_in(self._tokens, self._secrets, *renewed)

    async def logout(self, token: str, context: ChangeContext) -> None:
        """Ends a token's session; whether there was one is not told."""
        try:
            claim = await self._secrets.read_refresh_token(token)
        except CredentialsInvalid:
            return
        async with self._store.transaction() as tx:
            account_id = await tx.sessions.end(claim.session_id, self._now())
            if account_id is None:  # it had ended, which is as certain now as it was to whoever ended it
                await tx.wait_for_standby()
            else:
                await tx.access_changes.add([account_id], self._now())
                await tx.audit.record([replace(context, caller_id=account_id).entry(f"session/{claim.session_id}")])

    async def list_latest(
        self, caller: Caller, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Session]:
        """The caller's sessions that have not ended, starting before a key of (create_time, id)."""
        async with self._store.reading() as reading:
            return await reading.sessions.list_live(caller.account_id, self._now(), before=before, limit=limit)

    async def revoke(self, caller: Caller, session_id: UUID, context: ChangeContext) -> None:
        """Ends one of the caller's sessions; raises SessionNotFound, of another's as of one that there never was."""

        async def act(tx: IdentityTransaction) -> None:
            session = await tx.sessions.find(session_id)
            if session is None or session.account_id != caller.account_id:
                raise SessionNotFound(session_id=str(session_id))
            await tx.sessions.end(session_id, self._now())
            await tx.access_changes.add([caller.account_id], self._now())

        await once(self._store, context, DONE, act, f"session/{session_id}")

    async def revoke_all(self, caller: Caller, context: ChangeContext, *, keep_current: bool) -> int:
        """Ends the caller's sessions, or all but that of its token, and returns how many that were."""
        kept = caller.issued_for if keep_current else None

        async def act(tx: IdentityTransaction) -> int:
            count = await tx.sessions.end_all(caller.account_id, self._now(), but=kept)
            await tx.access_changes.add([caller.account_id], self._now())
            return count

        return await once(self._store, context, ENDED_SESSIONS, act, f"account/{caller.account_id}")

    async def purge(self) -> None:
        """Forgets sessions that have expired, with where they were opened from and by which program."""
        before = self._now() - rules.EXPIRED_RETENTION
        await purge_in_batches(self._store, lambda tx, limit: tx.sessions.purge(before, limit))

    async def _renew(
        self, tx: IdentityTransaction, claim: rules.RefreshTokenContent, context: ChangeContext
    ) -> tuple[Account, Session] | None:
        """The session as it goes on; None where it does not, which must be committed and not rolled back."""
        now = self._now()
        session = await tx.sessions.lock(claim.session_id)
        decision = rules.renewal(session, claim.generation, now)
        if session is None or decision is rules.Renewal.ENDED:
            return None
        resource = f"session/{session.id}"
        if decision is rules.Renewal.REUSED:
            await tx.sessions.end(session.id, now)
            await tx.access_changes.add([session.account_id], now)
            # Of two that hold the token nobody knows which one sent it.
            await tx.audit.record([context.entry(resource, "REUSED")])
            return None
        account = await tx.accounts.find(session.account_id)
        if account is None or account.disable_time is not None:
            return None
        if decision is rules.Renewal.NEXT:
            session = replace(session, generation=session.generation + 1, refresh_time=now)
            await tx.sessions.refresh(session.id, session.generation, now)
            await tx.audit.record([replace(context, caller_id=account.id).entry(resource)])
        return account, session
