from uuid import UUID

from server.identity.errors import AccountNotFound
from storage.database import Transaction
from storage.identity.records import Account


async def existing(tx: Transaction, account_id: UUID) -> Account:
    account = await tx.accounts.find(account_id)
    if account is None:
        raise AccountNotFound(account_id=str(account_id))
    return account
