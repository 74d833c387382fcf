"""When a server must not start: what the settings say, compared with where they say it runs."""

from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import urlsplit

from server.frame.addresses import covers_the_public, is_this_machine
from server.process.failure import Failure
from server.settings import Settings
from storage.url import parameters

_ENCRYPTED = {"require", "verify-ca", "verify-full"}
"""The values of sslmode with which libpq goes no further where the server has no TLS."""
_MIN_DIFFERENT = 20
"""Different bytes of a key: of 32 random ones about 30 are, and fewer than 20 once in 10^12 keys."""


def reasons_not_to_start(settings: Settings, *, listens: bool = True) -> list[str]:
    """One line a reason, each naming the setting and the fix; `listens` is whether the process opens its ports."""
    found = list(_incomplete(settings)) if listens else []
    if settings.environment == "production":
        found += _production_problems(settings)
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


def _production_problems(settings: Settings) -> Iterator[str]:
    yield from _key_problems(settings)
    if settings.embedded:
        yield "DATABASE_URL: is needed in production, where the embedded PostgreSQL is not used"
    yield from _issuer_problems(settings)
    yield from _plaintext_databases(settings)
    yield from _network_problems(settings)
    for module in settings.modules:
        yield from settings.of_modules[module].production_problems()


def _key_problems(settings: Settings) -> Iterator[str]:
    if not settings.master_keys:
        yield "BACKROOM_MASTER_KEY: is needed in production; backroom keys new-master-key makes one"
    elif any(map(is_guessable_key, settings.master_keys)):
        yield "BACKROOM_MASTER_KEY: is not random, and can be guessed; backroom keys new-master-key makes one that is"


def _issuer_problems(settings: Settings) -> Iterator[str]:
    if not settings.issuer_url:
        yield "BACKROOM_ISSUER: is needed in production; set it to this environment's URL, such as https://example.com"
    elif is_local_url(settings.issuer_url):
        yield (
            f"BACKROOM_ISSUER: {settings.issuer_url} may be any machine, and distinguishes no environment from another;"
            " set it to this environment's URL, such as https://example.com"
        )


def _network_problems(settings: Settings) -> Iterator[str]:
    for network in filter(covers_the_public, settings.trusted_proxies):
        yield (
            f"BACKROOM_TRUSTED_PROXIES: {network} has outsiders in it, who could claim to call from anywhere;"
            " name the proxies' own networks"
        )


def _plaintext_databases(settings: Settings) -> Iterator[str]:
    """The databases that passwords and all that is kept would travel to in plain text."""
    urls = {"DATABASE_URL": settings.database_url, "BACKROOM_DIRECT_DATABASE_URL": settings.direct_database_url}
    urls |= {each.setting: each.url for each in settings.all_databases_apart.values()}
    for setting, url in urls.items():
        if url and "database" not in settings.allow_plaintext and (host := in_plain_text(url)):
            yield (
                f"{setting}: the way to {host} may be in plain text; add sslmode=verify-full, or sslmode=require,"
                " to it, or list database in BACKROOM_ALLOW_PLAINTEXT"
            )


def _exposed(settings: Settings) -> Iterator[tuple[str, str]]:
    """The ports that serve plain text to more than this machine, though no setting allows it."""
    sides = (
        ("grpc", "BACKROOM_GRPC_ADDRESS", settings.grpc_address, settings.tls_certificate is not None, ""),
        ("http", "BACKROOM_HTTP_ADDRESS", settings.http_address, settings.http_tls, " and BACKROOM_HTTP_TLS=true"),
        (
            "metrics",
            "BACKROOM_METRICS_ADDRESS",
            settings.metrics_address,
            settings.http_tls,
            " and BACKROOM_HTTP_TLS=true",
        ),
    )
    of_modules = settings.further_grpc_addresses
    more = (("grpc", name, each, settings.tls_certificate is not None, "") for name, each in of_modules.items())
    for side, setting, address, encrypted, further in (*sides, *more):
        if address is None or encrypted or side in settings.allow_plaintext:
            continue
        if not is_this_machine(address.host):
            fix = f"set BACKROOM_TLS_CERTIFICATE and BACKROOM_TLS_KEY{further}"
            yield side, f"{setting}: {address} is public and in plain text; {fix}"


def is_local_url(url: str) -> bool:
    """Whether a URL names this machine, as it might on any other one."""
    return is_this_machine((urlsplit(url).hostname or "localhost").removesuffix("."))


def in_plain_text(url: str) -> str:
    """The first host that a connection to a database may lead to in plain text, across a network; empty for none.

    What the URL leaves open counts as libpq has it: by PGHOST, PGSSLMODE and their like. Where PGSERVICE
    names a service, its file is not looked into: it counts as one across a network, unless the URL itself demands TLS.
    """
    from psycopg.pq import Conninfo  # late: as `storage.url` has it

    defaults = {each.keyword.decode(): (each.val or b"").decode() for each in Conninfo.get_defaults()}
    from_url = parameters(url)
    found = {**defaults, **from_url}
    if found.get("service"):
        # What the service's file says counts before the environment, and behind the URL.
        return "" if from_url.get("sslmode") in _ENCRYPTED else f"the service {found['service']}"
    if found["sslmode"] in _ENCRYPTED:
        return ""
    hosts = (found["hostaddr"] or found["host"]).split(",")
    return next((host for host in hosts if not (host[:1] in ("", "/", "@") or is_this_machine(host))), "")


def is_guessable_key(key: bytes) -> bool:
    """Whether 32 bytes are hardly random: a text, a sequence, or the same few bytes over and over."""
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    typed = all(0x20 <= each < 0x7F for each in key)
    return typed or len(steps) == 1 or len(set(key)) < _MIN_DIFFERENT


def check_startable(configured: Settings, *, listens: bool = True) -> None:
    """Raises Failure, with a line for each reason, where a process must not start so."""
    if reasons := reasons_not_to_start(configured, listens=listens):
        raise Failure("\n".join(reasons))
