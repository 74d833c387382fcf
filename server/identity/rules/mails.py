from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from storage.identity.records import Account, MailPurpose

TOKEN_LIFE = {MailPurpose.VERIFY: timedelta(hours=24), MailPurpose.RESET: timedelta(hours=1)}
GIVEN_UP_AFTER = timedelta(days=1)
"""A mail that could not be sent for so long is of no more use."""

_MAX_WAIT = timedelta(minutes=30)


class Occasion(StrEnum):
    """Why somebody is to have a mail; whether there is somebody is looked up when it is sent."""

    REGISTERED = "registered"
    VERIFY = "verify"
    RESET = "reset"


class MailKind(StrEnum):
    """What a mail says."""

    VERIFY = "verify_email"
    RESET = "reset_password"
    TAKEN = "address_registered_again"


PURPOSE = {MailKind.VERIFY: MailPurpose.VERIFY, MailKind.RESET: MailPurpose.RESET}
"""What the token in a mail is good for; a kind that is not here has none."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is known of a mail before it is sent; kept sealed."""

    to: str
    token: str = field(repr=False)
    account_id: str = ""
    """Whom a registration is to have made, which it has not where the address was another's."""


@dataclass(frozen=True, slots=True)
class MailText:
    """What a mail says."""

    subject: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Due:
    """Which mail is to go out, and the account that its token is for."""

    kind: MailKind
    account: Account


def mail_due(occasion: Occasion, content: Content, owner: Account | None, registered: Sequence[Account]) -> Due | None:
    """Which mail an address is to have; None where it has no account, or there is nothing to be told.

    `owner` is who verified it; `registered` are those who registered with it and may still verify it, the first first.
    A registration is told of its own token alone. Where several are pending, nobody else knows which of them is the
    owner's, so that whoever asks is sent what sets a new password and ends them all.
    """
    if owner is not None:
        return _due_to_owner(occasion, content, owner)
    if occasion is Occasion.REGISTERED:
        mine = (each for each in registered if str(each.id) == content.account_id)
        return next((Due(MailKind.VERIFY, each) for each in mine), None)
    if not registered:
        return None
    alone = occasion is Occasion.VERIFY and len(registered) == 1
    return Due(MailKind.VERIFY if alone else MailKind.RESET, registered[0])


def _due_to_owner(occasion: Occasion, content: Content, owner: Account) -> Due | None:
    if owner.disable_time is not None:
        return None
    if occasion is Occasion.RESET:
        return Due(MailKind.RESET, owner)
    taken = occasion is Occasion.REGISTERED and str(owner.id) != content.account_id
    return Due(MailKind.TAKEN, owner) if taken else None


def wait_after(attempts: int) -> timedelta:
    """How long whoever takes a mail to send it has for that, and when it is tried again if that fails."""
    doublings = min(attempts, 10)
    return min(timedelta(minutes=2**doublings), _MAX_WAIT)


def mail_text(kind: MailKind, token: str, link: str, registered: datetime) -> MailText:
    """What is said; `link` holds "{token}", or is empty where the token is to be shown as it is.

    `registered` is when the account registered that the mail is about.

    Nothing that a stranger may have typed stands in it.
    """
    shown = link.replace("{token}", token) if link else token
    how = "Open this link" if link else "Enter this code"
    if kind is MailKind.VERIFY:
        return MailText(
            "Confirm your address",
            f"Somebody registered with this address on {registered:%Y-%m-%d at %H:%M} UTC.\n\n"
            f"{how} to confirm that it was you, within 24 hours:\n\n  {shown}\n\n"
            "If it was not you, leave it alone: nobody can sign in before. If you have more than one such mail, the"
            " first that you confirm decides which password counts.\n",
        )
    if kind is MailKind.RESET:
        return MailText(
            "Set a new password",
            f"{how} to set a new password, within an hour:\n\n  {shown}\n\n"
            "If you did not ask for it, leave it alone: your password stays as it is.\n",
        )
    return MailText(
        "You have an account already",
        "Somebody wanted to register with this address, which has an account already. Nothing was changed.\n\n"
        "If it was you: sign in, or ask for a new password, which also confirms an address that is not confirmed yet."
        "\nIf it was not, there is nothing to do.\n",
    )
