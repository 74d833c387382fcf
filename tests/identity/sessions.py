"""Sessions that were started without a password, for tests of how they continue."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import grpc
import uuid_utils.compat

from server.application import Application
from server.identity.rules.sessions import SESSION_LIFE
from storage.identity.records import Session
from storage.identity.store import IDENTITY
from tests.fixtures.servers import Api, refused
from tests.identity.people import person, refreshed


@dataclass(frozen=True)
class Begun:
    """A session of a person, as its owner has it."""

    api: Api
    refresh_token: str
    session: Session


async def begun(
    application: Application,
    channel: grpc.aio.Channel,
    *roles: str,
    account_id: UUID | None = None,
    now: datetime | None = None,
) -> Begun:
    """A new session of an account, or of a new account with these roles."""
    now = now or datetime.now(UTC)
    async with application.database.store(IDENTITY).transaction() as tx:
        if account_id is None:
            added = person(None, *roles, verify_time=now)
            account_id = added.id
            assert await tx.accounts.add(added, password_hash="none")
        account = await tx.accounts.find(account_id)
        assert account is not None
        session = Session(uuid_utils.compat.uuid7(), account.id, 0, now, now, now + SESSION_LIFE, None)
        await tx.sessions.add(session)
    token, _ = await application.identity.tokens.issue(account, session.id)
    refresh_token = await application.identity.secrets.refresh_token(session)
    return Begun(Api(channel, token, account.id), refresh_token, session)


async def next_token(api: Api, token: str) -> str | None:
    """The refresh token that this one is exchanged for; None if it is refused."""
    try:
        return (await refreshed(api, token)).refresh_token
    except grpc.aio.AioRpcError as error:
        answer = refused(error)
        if (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID"):
            return None
        raise
