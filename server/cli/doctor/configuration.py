"""What the settings say, without a look at anything that runs."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog

from server.cli.doctor.finding import Finding, judged, noticed
from server.frame.interceptors import CallLimits
from server.frame.settings import Declared, DeclaredSettings, Shown, declared, written
from server.process.certificates import Certificates, CertificatesUnreadable
from server.process.data_dir.disk_problems import unusable
from server.process.edge import limits_of
from server.process.start import reasons_not_to_start, warnings
from server.settings import OF_EVERY_PROCESS, Settings, declarations
from storage.url import redacted


def configuration(configured: Settings) -> Iterator[Finding]:
    """A row for each setting, by its declaration; then what keeps a server from starting."""
    yield from _env_file()
    looked_at = {**_of_the_process(configured), **_of_modules(configured)}
    for kind in declarations():
        read = configured if kind in OF_EVERY_PROCESS else configured.of(kind)
        for each in declared(kind):
            yield looked_at.get(each.name) or Finding(each.name, _value(read, each))
    for reason in reasons_not_to_start(configured):
        setting, _, fix = reason.partition(": ")
        yield judged(f"start: {setting}", "a server refuses to start", fix)
    for warning in warnings(configured):
        setting, _, fix = warning.partition(": ")
        yield noticed(f"warning: {setting}", "in plain text", fix)


def _value(read: DeclaredSettings, setting: Declared) -> str:
    """What is set, or what applies where nothing is; of a secret only whether it is set."""
    if setting.field not in read.model_fields_set:
        return setting.default or f"not set: {setting.unset}".removesuffix(": ").replace("`", "")
    return "set" if setting.secret else written(getattr(read, setting.field))


def _of_modules(configured: Settings) -> Mapping[str, Finding]:
    """The rows that modules know more of, by their settings."""
    redacted = (each.shown(configured.deployment) for each in configured.of_modules.values())
    return {name: _finding(name, each) for of_one in redacted for name, each in of_one.items()}


def _finding(name: str, redacted: Shown) -> Finding:
    return (judged if redacted.broken else noticed)(name, redacted.found, redacted.fix)


def _of_the_process(configured: Settings) -> Mapping[str, Finding]:
    """The rows that are more than a value, by their settings."""
    hidden = configured.environment == "production" and not configured.metrics_token
    where = configured.metrics_address or f"not set: /metrics is {'not shown' if hidden else 'at the HTTP address'}"
    rows = [
        _data_dir(configured),
        _certificate(configured),
        Finding("BACKROOM_ISSUER", f"{configured.issuer}{'' if configured.issuer_url else ' (not set)'}"),
        Finding("BACKROOM_METRICS_ADDRESS", str(where)),
        Finding("BACKROOM_REFLECTION", str(configured.reflects).lower()),
        *_rates(limits_of(configured)),
    ]
    # A URL is a secret for the password in it, and shown without that.
    urls = {"DATABASE_URL": configured.database_url, "BACKROOM_DIRECT_DATABASE_URL": configured.direct_database_url}
    rows += [Finding(setting, redacted(url)) for setting, url in urls.items() if url]
    return {each.name: each for each in rows}


def _rates(limits: CallLimits) -> Iterator[Finding]:
    whose = ", of each customer" if limits.rate_exempts_staff else ""
    rate = limits.rate
    yield Finding("BACKROOM_CALLS_PER_SECOND", f"{rate.per_second:g}{whose}" if rate else "no limit")
    yield Finding("BACKROOM_CALLS_BURST", f"{rate.burst}{whose}" if rate else "no limit")


def _data_dir(configured: Settings) -> Finding:
    what, folder = "BACKROOM_DATA_DIR", configured.data_dir
    if problem := unusable(folder):
        return judged(what, str(folder), str(problem).removeprefix(f"{what}: "))
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
