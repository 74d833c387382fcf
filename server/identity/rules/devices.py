from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from storage.identity.records import Account

DEVICE_LIFE = timedelta(days=90)
"""For how long a device that an account's owner signed in with counts as the owner's."""


@dataclass(frozen=True, slots=True)
class Device:
    """What a genuine device token says."""

    account_id: UUID
    id: UUID
    issue_time: datetime

    def counts_for(self, account: Account | None, now: datetime) -> bool:
        """Whether it is a device of this account: a change of its password forgets those before."""
        if account is None or account.id != self.account_id or now - self.issue_time >= DEVICE_LIFE:
            return False
        return account.password_time is None or self.issue_time >= account.password_time


KeptDevice = Device | bool
"""What is remembered of a change of password: the device that it was made by; of an earlier version, that it was."""
