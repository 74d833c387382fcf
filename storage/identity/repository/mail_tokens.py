from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Repository, row_maker
from storage.identity.records import MailPurpose, MailToken
from storage.identity.tables.mails import mail_tokens

_NEW = row_maker(("hash", "account_id", "purpose", "create_time", "expire_time"))


class MailTokenReader(Reader):
    """Tokens that were sent by mail, as they stand."""

    async def find_live(self, token_hash: bytes, purpose: MailPurpose, now: datetime) -> UUID | None:
        """Whose token it is; None where it is not one, not for this, used, or expired."""
        statement = select(mail_tokens.c.account_id).where(_live(token_hash, purpose, now))
        found: UUID | None = (await self._connection.execute(statement)).scalar()
        return found


class MailTokenRepository(MailTokenReader, Repository):
    """Tokens that were sent by mail, each to be used once; of one account and purpose, one lives at a time."""

    async def put(self, token: MailToken) -> None:
        """Adds a token, in the place of the one that lives."""
        statement = insert(mail_tokens).values(**_NEW(token), address="")
        renewed = {name: statement.excluded[name] for name in ("hash", "create_time", "expire_time")}
        one_lives = statement.on_conflict_do_update(
            index_elements=["account_id", "purpose"], index_where=text("use_time IS NULL"), set_=renewed
        )
        await self._connection.execute(one_lives)

    async def use(self, token_hash: bytes, purpose: MailPurpose, now: datetime, address: str) -> UUID | None:
        """Uses a token up, and says whose it is; None as above. Of many that use one at once, one does."""
        statement = update(mail_tokens).where(_live(token_hash, purpose, now)).values(use_time=now, address=address)
        found: UUID | None = (await self._connection.execute(statement.returning(mail_tokens.c.account_id))).scalar()
        return found

    async def end_live(self, account_id: UUID) -> None:
        """Ends the tokens of an account that were not used."""
        live = (mail_tokens.c.account_id == account_id) & mail_tokens.c.use_time.is_(None)
        await self._connection.execute(delete(mail_tokens).where(live))

    async def end_everyones(self) -> None:
        """Ends the tokens of all accounts that were not used."""
        await self._connection.execute(delete(mail_tokens).where(mail_tokens.c.use_time.is_(None)))

    async def purge(self, before: datetime, limit: int) -> int:
        """Forgets up to so many tokens that expired before a time, and returns how many those were."""
        return await self._delete_before(mail_tokens.c.expire_time, before, limit)


def _live(token_hash: bytes, purpose: MailPurpose, now: datetime) -> ColumnElement[bool]:
    mine = (mail_tokens.c.hash == token_hash) & (mail_tokens.c.purpose == purpose)
    return mine & mail_tokens.c.use_time.is_(None) & (mail_tokens.c.expire_time > now)
