"""When a service's key is made, taken and ended."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from server.frame.errors import FieldInvalid
from server.identity.errors import AccountNotFound, CredentialsInvalid, TooManyKeys
from storage.identity.records import Account, AccountKind, ApiKey

MAX_KEYS = 2
"""One in use, and the one that is to replace it."""
PREFIX = 12
"""How many characters of a key are kept to tell it from others: "brk_" and 8."""
USE_KEPT = timedelta(minutes=1)
"""How exactly the last use is known."""


def require_service(account: Account | None, account_id: str) -> Account:
    """Raises AccountNotFound; a person has no keys."""
    if account is None or account.kind is not AccountKind.SERVICE:
        raise AccountNotFound(account_id=account_id)
    return account


def require_future(expire_time: datetime | None, now: datetime) -> None:
    """Raises FieldInvalid for an end that has passed."""
    if expire_time is not None and expire_time <= now:
        raise FieldInvalid.of("key.expire_time", "must be in the future")


def require_free_slot(live: Sequence[ApiKey]) -> None:
    """Raises TooManyKeys."""
    if len(live) >= MAX_KEYS:
        raise TooManyKeys


def taken(key: ApiKey | None, account: Account | None, now: datetime) -> tuple[ApiKey, Account]:
    """The key and its account where it signs in; raises CredentialsInvalid, whatever stands against it."""
    if key is None or account is None or account.disable_time is not None or not is_live(key, now):
        raise CredentialsInvalid
    return key, account


def is_live(key: ApiKey, now: datetime) -> bool:
    return key.end_time is None and (key.expire_time is None or now < key.expire_time)


def use_to_note(key: ApiKey, now: datetime) -> datetime | None:
    """The minute to note as the key's last use; None where it is noted."""
    minute = now.replace(second=0, microsecond=0)
    return minute if key.last_use_time is None or key.last_use_time < minute else None
