from dataclasses import dataclass
from datetime import datetime

from server.identity.credentials.secrets import Secrets
from server.identity.credentials.tokens import AccessTokens
from storage.identity.records import Account, Session


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a person gets who signed in."""

    access_token: str
    access_token_expire_time: datetime
    refresh_token: str
    refresh_token_expire_time: datetime
    device_token: str = ""
    """That the owner has signed in with this device; for a sign-in alone."""


async def signed_in(tokens: AccessTokens, secrets: Secrets, account: Account, session: Session) -> SignedIn:
    """What the owner of a session is handed."""
    access_token, expire_time = await tokens.issue(account, session.id, until=session.expire_time)
    return SignedIn(access_token, expire_time, await secrets.refresh_token(session), session.expire_time)
