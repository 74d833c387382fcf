"""Whose an address is: decided once, by the token that is used, in the transaction that goes by it."""

from datetime import datetime
from uuid import UUID

from server.identity.errors import MailTokenInvalid
from storage.frame.records import ChangeContext
from storage.identity.records import Account, MailPurpose
from storage.identity.store import IdentityTransaction


async def owner_by_token(
    tx: IdentityTransaction, token_hash: bytes, purpose: MailPurpose, now: datetime, context: ChangeContext
) -> Account:
    """Uses a token up, and returns the account whose address it proves, as it was before.

    Raises MailTokenInvalid where another has verified the address meanwhile, or the account may not come in.
    """
    # The address first: whoever decides about it also removes the tokens of others.
    account_id = await tx.mail_tokens.find_live(token_hash, purpose, now)
    found = await tx.accounts.find(account_id) if account_id else None
    if found is None or found.email is None:
        raise MailTokenInvalid
    await tx.accounts.lock_email(found.email)
    if await tx.mail_tokens.use(token_hash, purpose, now, context.address) is None:
        raise MailTokenInvalid
    account = await tx.accounts.lock(found.id)
    owner, _ = await tx.accounts.find_by_email(found.email) or (None, None)
    if account is None or account.disable_time is not None or (owner is not None and owner.id != account.id):
        raise MailTokenInvalid
    return account


async def settle_address(tx: IdentityTransaction, email: str, now: datetime, context: ChangeContext) -> None:
    """Ends all other registrations with an address that has just been verified, their tokens and their sessions."""
    ended = await tx.accounts.remove_unverified(email)
    await tx.access_changes.add(ended, now)
    await tx.audit.record([context.entry(_resource(account_id), "SUPERSEDED") for account_id in ended])


def _resource(account_id: UUID) -> str:
    return f"account/{account_id}"
