import asyncio
import smtplib
import ssl
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

from server.frame.addresses import is_this_machine
from server.identity.outbox.port import Letter, NeverSent, NotSent, composed

_ANSWER_SECONDS = 15.0
"""In seconds, for each of the server's answers."""
_PERMANENT_ERROR = 500
"""Replies from this code on are permanent."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mails are handed in, and how."""

    host: str
    port: int
    tls: Literal["at once", "by STARTTLS", "none"]
    user: str = ""
    password: str = field(default="", repr=False)


def read_smtp_url(text: str) -> SmtpServer:
    """Reads smtp://user:password@host:587 or smtps://user:password@host:465; raises ValueError.

    smtp goes over to TLS by STARTTLS, and goes no further where the server has none; only a server on this machine is
    spoken to without.
    """
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        host = port = None
    if not host or url.scheme not in ("smtp", "smtps") or url.path.strip("/") or url.query or url.fragment:
        raise ValueError("must be such as smtp://user:password@host:587 or smtps://user:password@host:465")
    user, password = unquote(url.username or ""), unquote(url.password or "")
    if url.scheme == "smtps":
        return SmtpServer(host, port or 465, "at once", user, password)
    return SmtpServer(host, port or 587, "none" if is_this_machine(host) else "by STARTTLS", user, password)


class SmtpOutbox:
    """Hands each mail to an SMTP server, on a connection of its own, in a thread."""

    def __init__(self, server: SmtpServer, sender: str, trusted: ssl.SSLContext | None = None) -> None:
        """`trusted` says which certificates are; None means those that this machine trusts."""
        self._server = server
        self._sender = sender
        self._trusted = trusted or ssl.create_default_context()

    async def send(self, letter: Letter) -> None:
        message = composed(letter, self._sender)
        try:
            await asyncio.to_thread(self._hand_in, message.as_bytes(), letter.to)
        except smtplib.SMTPResponseException as error:
            raise NotSent(f"{type(error).__name__} {error.smtp_code}") from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            # There is one recipient; 5xx means that it never will be taken (RFC 5321, section 4.2.1).
            kind = NeverSent if min(codes, default=0) >= _PERMANENT_ERROR else NotSent
            raise kind(f"{type(error).__name__} {', '.join(map(str, codes))}") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            # Its text may quote what was sent.
            raise NotSent(type(error).__name__) from None

    def _hand_in(self, content: bytes, to: str) -> None:
        with self._connected() as connection:
            if self._server.tls == "by STARTTLS":
                connection.starttls(context=self._trusted)
            if self._server.user:
                connection.login(self._server.user, self._server.password)
            connection.sendmail(self._sender, [to], content)

    def _connected(self) -> smtplib.SMTP:
        host, port = self._server.host, self._server.port
        if self._server.tls == "at once":
            return smtplib.SMTP_SSL(host, port, timeout=_ANSWER_SECONDS, context=self._trusted)
        return smtplib.SMTP(host, port, timeout=_ANSWER_SECONDS)
