import re
from datetime import timedelta

from server.frame.errors import FieldInvalid
from storage.identity.records import Account

UNVERIFIED_RETENTION = timedelta(days=7)
"""For how long somebody may verify the address that was registered."""


_MAX_EMAIL = 254
_MAX_LOCAL = 64
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")


def is_email(text: str) -> bool:
    """Whether it is an address that mails can be sent to, and that is the same wherever it is written.

    A dot-atom of RFC 5322 in ASCII before the @, and a host name behind it; and nothing that begins as an encoded word
    of RFC 2047 does, which other programs read as something else in a header.
    """
    local, _, domain = text.rpartition("@")
    if len(text) > _MAX_EMAIL or len(local) > _MAX_LOCAL or "=?" in local:
        return False
    return bool(_LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain))


def new_email(email: str) -> str:
    """The one form of an address that an account is to have; raises FieldInvalid where it is none."""
    if not is_email(email):
        raise FieldInvalid.of("email", "must be an email address in ASCII, such as ada@example.com")
    return normal_email(email)


def normal_email(email: str) -> str:
    """The one form that an address is known by."""
    return email.strip().lower()


def may_sign_in(account: Account) -> bool:
    """Whether it may, with its right password: its address is verified, and it is not disabled."""
    return account.verify_time is not None and account.disable_time is None
