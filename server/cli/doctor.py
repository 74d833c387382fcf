"""What is configured, what answers, what is missing, and the mend."""

import asyncio
import platform
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc
import structlog
from google.protobuf.internal import api_implementation
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url

import migrations
from backroom_client import Backroom, Tls
from server import settings
from server.cli.disk_trouble import unusable
from server.cli.edge import limits_of, tls_of
from server.cli.mail import way_of
from server.edge import Certificates, CertificatesUnreadable
from server.edge.start import reasons_not_to_start, warnings
from server.settings import Address, Settings
from storage.database import Database
from storage.embedded import running_url
from storage.errors import StoreError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: str
    mend: str = ""
    """What to do about it; empty where there is nothing to do."""
    broken: bool = False
    """Whether it must be mended, rather than may."""

    @property
    def mark(self) -> str:
        if self.broken:
            return "[red]✗[/]"
        return "[yellow]-[/]" if self.mend else "[green]✓[/]"


def doctor() -> None:
    """Prints the findings; exits with 1 where something is broken."""
    configured = settings.read()
    findings = [*_configuration(configured), *_machine(), *_answers(configured)]
    table = Table(box=None, pad_edge=False)
    for title in ("", "what", "state", "mend"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        table.add_row(finding.mark, finding.what, finding.state, finding.mend)
    Console().print(table)
    if any(finding.broken for finding in findings):
        sys.exit(1)


def _configuration(configured: Settings) -> Iterator[Finding]:
    yield Finding("BACKROOM_ENVIRONMENT", configured.environment)
    yield Finding("DATABASE_URL", _shown(configured.database_url))
    yield _data_dir(configured)
    yield Finding("BACKROOM_GRPC_ADDRESS", str(configured.grpc_address))
    yield Finding("BACKROOM_HTTP_ADDRESS", str(configured.http_address))
    yield from _edge(configured)
    yield Finding("BACKROOM_MODULES", ", ".join(configured.modules))
    yield Finding("BACKROOM_HOLD_SECONDS", f"{configured.hold_seconds:g}")
    yield _provider(configured)
    sources = ", ".join(source.name for source in configured.webhook_sources)
    yield Finding("BACKROOM_WEBHOOK_SOURCES", sources or "none")
    networks = ", ".join(map(str, configured.webhook_allowed_networks))
    yield Finding("BACKROOM_WEBHOOK_ALLOWED_NETWORKS", networks or "none")
    proxies = ", ".join(map(str, configured.trusted_proxies))
    yield Finding("BACKROOM_TRUSTED_PROXIES", proxies or "none: a call comes from where its connection does")
    yield _mail(configured)
    yield Finding("BACKROOM_DRAIN_SECONDS", f"{configured.drain_seconds:g}")
    yield Finding("BACKROOM_API_KEY", "set" if configured.api_key else "not set")
    yield Finding("LOG_LEVEL, LOG_FORMAT", f"{configured.log_level}, {configured.log_format}")


def _edge(configured: Settings) -> Iterator[Finding]:
    yield Finding("BACKROOM_ALLOW_PLAINTEXT", ", ".join(configured.allow_plaintext) or "none")
    yield _certificate(configured)
    yield Finding("BACKROOM_TLS_CLIENT_CA", str(configured.tls_client_ca or "none: callers need no certificate"))
    yield Finding("BACKROOM_HTTP_TLS", str(configured.http_tls).lower())
    yield Finding("BACKROOM_REFLECTION", str(configured.reflects).lower())
    yield Finding("BACKROOM_MAX_CALLS, _STREAMS", f"{configured.max_calls}, {configured.max_streams}")
    rate = limits_of(configured).rate
    shown = f"{rate.per_second:g} and {rate.burst} at once" if rate else "as many as a caller wants"
    yield Finding("BACKROOM_CALLS_PER_SECOND", shown)
    for reason in reasons_not_to_start(configured):
        setting, _, mend = reason.partition(": ")
        yield Finding(f"start: {setting}", "a server refuses to start", mend, broken=True)
    for warning in warnings(configured):
        setting, _, mend = warning.partition(": ")
        yield Finding(f"warning: {setting}", "in plain text", mend)


def _data_dir(configured: Settings) -> Finding:
    what, folder = "BACKROOM_DATA_DIR", configured.data_dir
    trouble = unusable(folder)
    mend = str(trouble).removeprefix(f"{what}: ") if trouble else ""
    return Finding(what, str(folder), mend, broken=trouble is not None)


def _certificate(configured: Settings) -> Finding:
    what, certificate, key = "BACKROOM_TLS_CERTIFICATE", configured.tls_certificate, configured.tls_key
    if not certificate or not key:
        return Finding(what, "none: plain text")
    try:
        Certificates(certificate, key, structlog.get_logger(), client_ca=configured.tls_client_ca)
    except CertificatesUnreadable as error:
        return Finding(what, str(certificate), f"correct it: {error}", broken=True)
    return Finding(what, str(certificate))


def _mail(configured: Settings) -> Finding:
    what, way = "BACKROOM_MAIL", way_of(configured)
    if way == "smtp":
        server, sender = configured.smtp_url, configured.mail_from
        if server is None or sender is None:
            return Finding(what, way, "set BACKROOM_SMTP_URL and BACKROOM_MAIL_FROM", broken=True)
        return Finding(what, f"smtp: {server.host}:{server.port}, {server.tls}, from {sender}")
    state = f"into {configured.data_dir / 'outbox'}" if way == "file" else "a line in the log for each"
    nobody = "nobody has a mail: set it to smtp" if configured.environment == "production" else ""
    return Finding(what, f"{way}: {state}", nobody)


def _provider(configured: Settings) -> Finding:
    what = "BACKROOM_PAYMENT_PROVIDER"
    chosen = configured.payment_provider or ("sandbox" if configured.embedded else "none")
    if chosen == "stripe":
        missing = "" if configured.stripe_key else "set BACKROOM_STRIPE_KEY"
    elif chosen == "sandbox" and not (configured.embedded and not configured.sandbox_url):
        both = configured.sandbox_url and configured.sandbox_key
        missing = "" if both else "set BACKROOM_SANDBOX_URL and BACKROOM_SANDBOX_KEY"
    else:
        missing = ""
    return Finding(what, chosen, missing, broken=bool(missing))


def _machine() -> Iterator[Finding]:
    yield Finding("Python", platform.python_version())
    backend = api_implementation.Type()
    slow = backend == "python"
    yield Finding("protobuf", f"the {backend} backend", "reinstall it: this is too slow to serve" if slow else "", slow)


def _answers(configured: Settings) -> Iterator[Finding]:
    yield _database(configured)
    if configured.embedded:
        admin = configured.data_dir / "admin.json"
        yield Finding("admin.json", str(admin) if admin.exists() else "none yet", "" if admin.exists() else "make run")
    yield _grpc(configured.grpc_address, tls_of(configured))
    yield _http(configured)


def _database(configured: Settings) -> Finding:
    url = configured.database_url or running_url(configured.data_dir.absolute() / "postgres")
    if url is None:
        return Finding("database", "the embedded one is not running", "make run")
    try:
        revision = asyncio.run(_revision(url))
    except StoreError:
        return Finding("database", "does not answer", "start it, or correct DATABASE_URL", broken=True)
    head = migrations.head()
    behind = revision is None or revision < head
    state = f"answers, at migration {revision or 'none'} of {head}"
    return Finding("database", state, "backroom migrate" if behind else "", behind)


async def _revision(url: str) -> str | None:
    database = Database(url, pool_size=1)
    try:
        return await database.revision()
    finally:
        await database.close()


def _grpc(address: Address, tls: Tls | None) -> Finding:
    def ask() -> str:
        with Backroom(str(address), tls=tls) as backroom:
            status = backroom.health.Check(HealthCheckRequest(service="readiness"), timeout=2).status
        return HealthCheckResponse.ServingStatus.Name(status)

    return _probed("gRPC readiness", address, ask, healthy="SERVING")


def _http(configured: Settings) -> Finding:
    address = configured.http_address

    def ask() -> str:
        with _connected(configured) as connection:
            connection.sendall(f"GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(64).split(b"\r\n")[0].decode()

    return _probed("HTTP /readyz", address, ask, healthy="HTTP/1.1 200 OK")


def _connected(configured: Settings) -> socket.socket:
    """A connection to the HTTP side, encrypted where that is; the server's certificate is checked then."""
    address = configured.http_address
    plain = socket.create_connection((address.host, address.port), timeout=2)
    if not configured.http_tls:
        return plain
    try:
        context = ssl.create_default_context(cafile=configured.tls_ca)
        return context.wrap_socket(plain, server_hostname=configured.tls_server_name or address.host)
    except OSError:
        plain.close()
        raise


def _probed(what: str, address: Address, ask: Callable[[], str], *, healthy: str) -> Finding:
    try:
        answer = ask()
    except (grpc.RpcError, OSError):
        return Finding(what, f"nothing answers on {address}", "make run")
    ill = answer != healthy
    return Finding(what, answer, "read its /readyz, which says why" if ill else "", ill)


def _shown(url: str | None) -> str:
    """A URL without its password, and without its query, which may hold another."""
    return str(make_url(url).set(query={})) if url else "not set: the embedded PostgreSQL"
