import re
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Protocol
from uuid import UUID

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
"""What the contract takes for an address (HTML's own rule): nothing that means anything in a header or a command."""


class NotSent(Exception):
    """The mail did not go out; it may later. The text says why, without anything of the mail or of a secret."""


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
        """Raises NotSent."""
        ...


def composed(letter: Letter, sender: str) -> EmailMessage:
    """The letter as RFC 5322 has it; raises NotSent where its address is none."""
    if not _ADDRESS.fullmatch(letter.to):
        raise NotSent("the address is none")
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = letter.to
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(letter.time)
    message["Message-ID"] = f"<{letter.id}@{sender.rpartition('@')[2] or 'localhost'}>"
    # No vacation notice is to be sent back (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message
