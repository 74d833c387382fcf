"""When a server must not start: what the settings say, held against where they say it runs."""

from collections.abc import Iterator

from server.frame.addresses import is_this_machine
from server.settings import Settings
from server.webhooks.rules.networks import unbounded


def reasons_not_to_start(settings: Settings, *, listens: bool = True) -> list[str]:
    """One line a reason, each naming the setting and the mend; `listens` is whether the process opens its ports."""
    found = list(_incomplete(settings)) if listens else []
    if settings.environment == "production":
        found += _unfit_for_production(settings)
        found += (f"{each}, or list {side} in BACKROOM_ALLOW_PLAINTEXT" for side, each in _exposed(settings) if listens)
    return found


def warnings(settings: Settings) -> list[str]:
    """What a server outside of production may do and says it does."""
    return [] if settings.environment == "production" else [each for _, each in _exposed(settings)]


def _incomplete(settings: Settings) -> Iterator[str]:
    if settings.tls_certificate and not settings.tls_key:
        yield "BACKROOM_TLS_KEY: is needed with BACKROOM_TLS_CERTIFICATE"
    if settings.tls_key and not settings.tls_certificate:
        yield "BACKROOM_TLS_CERTIFICATE: is needed with BACKROOM_TLS_KEY"
    if settings.tls_client_ca and not settings.tls_certificate:
        yield "BACKROOM_TLS_CERTIFICATE: is needed with BACKROOM_TLS_CLIENT_CA"
    if settings.http_tls and not settings.tls_certificate:
        yield "BACKROOM_TLS_CERTIFICATE: is needed with BACKROOM_HTTP_TLS"
    if settings.calls_burst and not settings.calls_per_second:
        yield "BACKROOM_CALLS_PER_SECOND: is needed with BACKROOM_CALLS_BURST"


def _unfit_for_production(settings: Settings) -> Iterator[str]:
    if not settings.master_keys:
        yield "BACKROOM_MASTER_KEY: is needed in production; backroom keys new-master-key makes one"
    if settings.embedded:
        yield "DATABASE_URL: is needed in production, where the embedded PostgreSQL is not used"
    if wide := unbounded(settings.webhook_allowed_networks):
        yield f"BACKROOM_WEBHOOK_ALLOWED_NETWORKS: {wide} allows nearly all addresses; name the networks that are meant"


def _exposed(settings: Settings) -> Iterator[tuple[str, str]]:
    """The sides that speak plain text to more than this machine, and to whom nobody said that they may."""
    sides = (
        ("grpc", "BACKROOM_GRPC_ADDRESS", settings.grpc_address, settings.tls_certificate is not None, ""),
        ("http", "BACKROOM_HTTP_ADDRESS", settings.http_address, settings.http_tls, " and BACKROOM_HTTP_TLS=true"),
    )
    for side, setting, address, encrypted, further in sides:
        if not encrypted and side not in settings.allow_plaintext and not is_this_machine(address.host):
            mend = f"set BACKROOM_TLS_CERTIFICATE and BACKROOM_TLS_KEY{further}"
            yield side, f"{setting}: {address} is public and in plain text; {mend}"
