from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Protocol
from uuid import UUID

from server.identity.rules.accounts import is_email


class NotSent(Exception):
    """The mail did not go out; it may later. The text says why, without anything of the mail or of a secret."""


class NeverSent(NotSent):
    """The mail did not go out, and never will."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail that is to go out."""

    id: UUID
    kind: str
    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)
    time: datetime


class Outbox(Protocol):
    """What sends mails. One that is sent twice has the same Message-ID both times."""

    async def send(self, letter: Letter) -> None:
        """Raises NotSent, and NeverSent where trying again is of no use."""
        ...


def composed(letter: Letter, sender: str) -> EmailMessage:
    """The letter as RFC 5322 has it, to its one address; raises NeverSent where that is none."""
    if not is_email(letter.to):
        raise NeverSent("the address is none")
    try:
        message = _message(letter, sender)
        written = message_from_bytes(message.as_bytes(), policy=SMTP)["To"].addresses
    except (ValueError, LookupError, MessageError) as error:
        raise NeverSent(type(error).__name__) from None
    if [each.addr_spec for each in written] != [letter.to]:
        raise NeverSent("the address is another one in a header")
    return message


def _message(letter: Letter, sender: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(sender)
    message["To"] = _address(letter.to)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(letter.time)
    message["Message-ID"] = f"<{letter.id}@{sender.rpartition('@')[2] or 'localhost'}>"
    # No vacation notice is to be sent back (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message


def _address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(username=local, domain=domain)
