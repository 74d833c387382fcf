from datetime import timedelta

from storage.identity.records import Account

UNVERIFIED_KEPT = timedelta(days=7)
"""For how long somebody may verify the address that was registered."""


def normal_email(email: str) -> str:
    """The one form that an address is known by."""
    return email.strip().lower()


def may_sign_in(account: Account) -> bool:
    """Whether it may, with its right password: its address is verified, and it is not disabled."""
    return account.verify_time is not None and account.disable_time is None
