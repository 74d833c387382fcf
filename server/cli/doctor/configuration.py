"""What the settings say, without asking anything that runs."""

from collections.abc import Iterator
from pathlib import Path

import structlog

from server.cli.doctor.finding import Finding, judged, noticed
from server.identity.outbox.configured import way_of
from server.process.certificates import Certificates, CertificatesUnreadable
from server.process.data_dir.disk_trouble import unusable
from server.process.edge import limits_of
from server.process.start import reasons_not_to_start, warnings
from server.settings import Settings
from storage.url import shown


def configuration(configured: Settings) -> Iterator[Finding]:
    yield from _env_file()
    yield Finding("BACKROOM_ENVIRONMENT", configured.environment)
    default = "" if configured.issuer_url else " (not set)"
    yield Finding("BACKROOM_ISSUER", f"{configured.issuer}{default}")
    url, direct = configured.database_url, configured.direct_database_url
    yield Finding("DATABASE_URL", shown(url) if url else "not set: the embedded PostgreSQL")
    yield Finding("BACKROOM_DATABASE_POOLER", configured.pooler)
    yield Finding("BACKROOM_DATABASE_CONNECT_SECONDS", f"{configured.database_connect_seconds:g}")
    yield Finding("BACKROOM_DATABASE_ANSWER_SECONDS", f"{configured.database_answer_seconds:g}")
    yield Finding("BACKROOM_DIRECT_DATABASE_URL", shown(direct) if direct else "not set")
    yield Finding("BACKROOM_SERVING_ROLE", configured.serving_role or "not set: migrate grants nothing")
    yield _data_dir(configured)
    yield Finding("BACKROOM_GRPC_ADDRESS", str(configured.grpc_address))
    yield Finding("BACKROOM_HTTP_ADDRESS", str(configured.http_address))
    hidden = configured.environment == "production" and not configured.metrics_token
    here = "not set: /metrics is not shown" if hidden else "not set: /metrics is at the HTTP address"
    yield Finding("BACKROOM_METRICS_ADDRESS", str(configured.metrics_address or here))
    yield Finding("BACKROOM_METRICS_TOKEN", "set" if configured.metrics_token else "not set")
    yield from _edge(configured)
    yield Finding("BACKROOM_MODULES", ", ".join(configured.modules))
    yield Finding("BACKROOM_HOLD_SECONDS", f"{configured.hold_seconds:g}")
    yield Finding("BACKROOM_MAX_UNPAID_ORDERS", f"{configured.max_unpaid_orders:,}")
    yield Finding("BACKROOM_MAX_HELD_PIECES", f"{configured.max_held_pieces:,}")
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
    limits = limits_of(configured)
    whose = ", of each customer" if limits.rate_spares_staff else ""
    shown = f"{limits.rate.per_second:g} and {limits.rate.burst} at once{whose}" if limits.rate else "no limit"
    yield Finding("BACKROOM_CALLS_PER_SECOND", shown)
    for reason in reasons_not_to_start(configured):
        setting, _, mend = reason.partition(": ")
        yield judged(f"start: {setting}", "a server refuses to start", mend)
    for warning in warnings(configured):
        setting, _, mend = warning.partition(": ")
        yield noticed(f"warning: {setting}", "in plain text", mend)


def _data_dir(configured: Settings) -> Finding:
    what, folder = "BACKROOM_DATA_DIR", configured.data_dir
    if trouble := unusable(folder):
        return judged(what, str(folder), str(trouble).removeprefix(f"{what}: "))
    return noticed(what, str(folder), f"others may look into it: chmod 700 {folder}" if _is_shared(folder) else "")


def _env_file() -> Iterator[Finding]:
    path = Path(".env")
    if path.exists():
        yield noticed(".env", "is read", "others may read it: chmod 600 .env" if _is_shared(path) else "")


def _is_shared(path: Path) -> bool:
    """Whether others than the owner may read it, write to it or enter it."""
    return path.exists() and bool(path.stat().st_mode & 0o077)


def _certificate(configured: Settings) -> Finding:
    what, certificate, key = "BACKROOM_TLS_CERTIFICATE", configured.tls_certificate, configured.tls_key
    if not certificate or not key:
        return Finding(what, "none: plain text")
    try:
        Certificates(certificate, key, structlog.get_logger(), client_ca=configured.tls_client_ca)
    except CertificatesUnreadable as error:
        return judged(what, str(certificate), f"correct it: {error}")
    return Finding(what, str(certificate))


def _mail(configured: Settings) -> Finding:
    what, way = "BACKROOM_MAIL", way_of(configured)
    if way == "smtp":
        server, sender = configured.smtp_url, configured.mail_from
        if server is None or sender is None:
            return judged(what, way, "set BACKROOM_SMTP_URL and BACKROOM_MAIL_FROM")
        return Finding(what, f"smtp: {server.host}:{server.port}, {server.tls}, from {sender}")
    state = f"into {configured.data_dir / 'outbox'}" if way == "file" else "a line in the log for each"
    nobody = "nobody has a mail: set it to smtp" if configured.environment == "production" else ""
    return noticed(what, f"{way}: {state}", nobody)


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
    return judged(what, chosen, missing)
