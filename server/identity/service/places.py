from collections.abc import Sequence
from datetime import datetime

from server.identity.rules.throttling import KNOWN_FOR
from storage.database import Transaction
from storage.frame.records import NOBODY
from storage.identity.records import Account

_MOST = 100


async def places_of(tx: Transaction, account: Account | None, now: datetime) -> Sequence[str]:
    """The addresses from which an account's owner came in of late; none where there is no account."""
    return await tx.mail_tokens.known_addresses(account.id if account else NOBODY, now - KNOWN_FOR, _MOST)
