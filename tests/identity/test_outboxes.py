"""The ways to send mails: a log, a folder, and a real SMTP server."""

import email
import email.policy
import socket
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from server.identity.outbox import Letter, NeverSent, NotSent
from server.identity.outbox.local import FileOutbox, LogOutbox
from server.identity.outbox.port import composed
from server.identity.outbox.smtp import SmtpOutbox, SmtpServer, read_smtp_url
from server.identity.rules.mails import MailKind, mail_text
from tests.fixtures.servers import keep_in

TOKEN = "brv_" + "A" * 27
SENDER = "no-reply@example.org"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def letter(to: str = "ada@example.com", kind: MailKind = MailKind.VERIFY, link: str = "") -> Letter:
    said = mail_text(kind, TOKEN, link, NOW)
    return Letter(UUID(int=7), kind, to, said.subject, said.text, NOW)


async def test_the_log_reveals_neither_address_nor_content() -> None:
    """A line has the kind of the mail and its id."""
    lines: list[dict[str, Any]] = []
    logger = structlog.wrap_logger(
        None, processors=[keep_in(lines)], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    await LogOutbox(logger).send(letter())
    assert lines == [{"level": "info", "event": "mail", "kind": "verify_email", "mail_id": str(UUID(int=7))}]


async def test_a_mail_file_is_readable_only_by_its_owner(tmp_path: Path) -> None:
    """In RFC 5322 format, named by its id, in a folder that is created for it; sent twice, it is one file."""
    outbox = FileOutbox(tmp_path / "data" / "outbox", SENDER)
    await outbox.send(letter())
    await outbox.send(letter())
    [path] = (tmp_path / "data" / "outbox").iterdir()
    assert path.name == f"{UUID(int=7)}.eml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert (mail["From"], mail["To"], mail["Subject"]) == (SENDER, "ada@example.com", "Confirm your address")
    assert mail["Message-ID"] == f"<{UUID(int=7)}@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert TOKEN in mail.get_content()


async def test_a_folder_that_cannot_be_written_delays_the_mail(tmp_path: Path) -> None:
    """The error says what is wrong, without anything of the mail."""
    (tmp_path / "outbox").write_text("in the way")
    with pytest.raises(NotSent) as raised:
        await FileOutbox(tmp_path / "outbox", SENDER).send(letter())
    assert TOKEN not in str(raised.value)
    assert "ada" not in str(raised.value)


plain = st.from_regex(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,30}@[a-z0-9.-]{1,30}", fullmatch=True)


@given(st.one_of(plain, plain.map(lambda to: f"{to}\r\nBcc: {to}"), st.text(max_size=60)))
def test_no_address_adds_a_header(to: str) -> None:
    """Whatever it holds: it is refused, or stays within its own header."""
    try:
        message = composed(letter(to), SENDER)
    except NotSent:
        return
    read = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    assert [name for name, _ in read.items()] == [
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
    ]


@given(plain)
def test_an_address_stays_the_same_in_the_header(to: str) -> None:
    """Parsed again, it is the one address that was meant."""
    try:
        message = composed(letter(to), SENDER)
    except NeverSent:
        return
    read = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    assert [each.addr_spec for each in read["To"].addresses] == [to]


@pytest.mark.parametrize("to", ["ada@example.com\r\nBcc: eve@example.com", "ada@example.com\nX: y", "a\rb@example.com"])
def test_an_address_with_a_line_break_is_refused(to: str) -> None:
    """No mail can be composed, so there is nothing to send."""
    with pytest.raises(NotSent):
        composed(letter(to), SENDER)


@pytest.mark.parametrize("kind", list(MailKind))
def test_a_mail_states_its_purpose(kind: MailKind) -> None:
    """In lines that any program shows; with a link, the token is only in the link."""
    link = "https://shop.example/mail?token={token}&x=1"
    bare, linked = mail_text(kind, TOKEN, "", NOW), mail_text(kind, TOKEN, link, NOW)
    assert (TOKEN in bare.text) == (TOKEN in linked.text) == (kind is not MailKind.TAKEN)
    assert linked.text.count(TOKEN) == linked.text.count(f"https://shop.example/mail?token={TOKEN}&x=1")
    assert "\n" not in bare.subject
    assert all(len(line) < 250 for line in linked.text.splitlines())


class Inbox:
    """The mails that an SMTP server received."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.sessions: list[Session] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        self.sessions.append(session)
        return self.answer

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.startswith("gone@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def mail(self) -> EmailMessage:
        [envelope] = self.envelopes
        assert isinstance(envelope.content, bytes)
        return email.message_from_bytes(envelope.content, policy=email.policy.default)


def _knows(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object) -> AuthResult:
    fits = isinstance(given, LoginPassword) and (given.login, given.password) == (b"shop", b"p@ss/word")
    return AuthResult(success=fits, handled=fits)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@contextmanager
def receiving(inbox: Inbox, **options: Any) -> Iterator[int]:
    """A real SMTP server in a separate thread, and its port."""
    controller = Controller(inbox, hostname="127.0.0.1", port=_free_port(), **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_server_on_this_machine_gets_the_mail(inbox: Inbox) -> None:
    """As it was composed, from the sender and to the one address."""
    with receiving(inbox) as port:
        await SmtpOutbox(read_smtp_url(f"smtp://127.0.0.1:{port}"), SENDER).send(letter())
    [envelope] = inbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, ["ada@example.com"])
    assert TOKEN in inbox.mail().get_content()
    assert inbox.mail()["To"] == "ada@example.com"


async def test_a_mail_that_the_server_refuses_is_not_sent(inbox: Inbox) -> None:
    """The code says why; neither the address nor the server's text, which may quote it, is repeated."""
    inbox.answer = "451 try ada@example.com later"
    with receiving(inbox) as port:
        outbox = SmtpOutbox(read_smtp_url(f"smtp://127.0.0.1:{port}"), SENDER)
        for to, code in (("ada@example.com", "451"), ("gone@example.com", "550")):
            with pytest.raises(NotSent) as raised:
                await outbox.send(letter(to))
            assert code in str(raised.value)
            assert "example.com" not in str(raised.value)


async def test_an_unreachable_server_is_retried_later() -> None:
    """The connection is refused, and the error says so."""
    with pytest.raises(NotSent, match="ConnectionRefusedError"):
        await SmtpOutbox(SmtpServer("127.0.0.1", _free_port(), "none"), SENDER).send(letter())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("smtp")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def server_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[0]))


async def test_a_mail_is_sent_by_starttls_with_a_password(
    inbox: Inbox, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """User and password are sent only once the connection is encrypted."""
    options = {"tls_context": server_tls, "require_starttls": True, "auth_required": True, "authenticator": _knows}
    with receiving(inbox, **options) as port:
        server = SmtpServer("127.0.0.1", port, "by STARTTLS", "shop", "p@ss/word")
        await SmtpOutbox(server, SENDER, trusting).send(letter())
    assert inbox.sessions[0].ssl is not None
    assert TOKEN in inbox.mail().get_content()


async def test_a_mail_is_sent_by_tls_from_the_start(
    inbox: Inbox, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """As smtps requires."""
    with receiving(inbox, ssl_context=server_tls) as port:
        await SmtpOutbox(SmtpServer("127.0.0.1", port, "at once"), SENDER, trusting).send(letter())
    assert TOKEN in inbox.mail().get_content()


async def test_an_unauthenticated_server_gets_nothing(inbox: Inbox, server_tls: ssl.SSLContext) -> None:
    """Neither the password nor the mail: with an untrusted certificate, or without TLS."""
    with receiving(inbox, tls_context=server_tls) as port, pytest.raises(NotSent, match="SSLCertVerificationError"):
        await SmtpOutbox(SmtpServer("127.0.0.1", port, "by STARTTLS", "shop", "x"), SENDER).send(letter())
    with receiving(inbox) as port, pytest.raises(NotSent, match="SMTPNotSupportedError"):
        await SmtpOutbox(SmtpServer("127.0.0.1", port, "by STARTTLS", "shop", "x"), SENDER).send(letter())
    assert inbox.envelopes == []


async def test_a_wrong_password_is_reported_by_its_code(
    inbox: Inbox, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """And not repeated."""
    with receiving(inbox, tls_context=server_tls, auth_required=True, authenticator=_knows) as port:
        server = SmtpServer("127.0.0.1", port, "by STARTTLS", "shop", "hunter2")
        with pytest.raises(NotSent, match="SMTPAuthenticationError 535") as raised:
            await SmtpOutbox(server, SENDER, trusting).send(letter())
    assert "hunter2" not in str(raised.value) + repr(server)


READ = {
    "smtp://mail.example.com": SmtpServer("mail.example.com", 587, "by STARTTLS"),
    "smtp://shop:p%40ss%2Fword@mail.example.com:2525": SmtpServer(
        "mail.example.com", 2525, "by STARTTLS", "shop", "p@ss/word"
    ),
    "smtps://mail.example.com": SmtpServer("mail.example.com", 465, "at once"),
    "smtp://localhost:1025": SmtpServer("localhost", 1025, "none"),
    "smtp://[::1]:1025": SmtpServer("::1", 1025, "none"),
    "smtps://127.0.0.1": SmtpServer("127.0.0.1", 465, "at once"),
}


@pytest.mark.parametrize("url", READ)
def test_an_smtp_url_is_parsed(url: str) -> None:
    """Only a server on this machine is used without TLS."""
    assert read_smtp_url(url) == READ[url]


@pytest.mark.parametrize(
    "url",
    ["", "mail.example.com", "http://mail.example.com", "smtp://", "smtp://h:x", "smtp://h/path", "smtp://h?tls=no"],
)
def test_another_url_is_refused_without_being_quoted(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(ValueError, match="must be such as") as raised:
        read_smtp_url(url)
    assert "hunter2" not in str(raised.value)
