"""The environment, read once into one frozen object."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import field_validator

from server.commerce.settings import CommerceSettings
from server.frame.addresses import Network, read_networks
from server.frame.environment import SettingsError, did_you_mean, environment, parsed
from server.frame.environment import names as names_of
from server.frame.sealing import MasterKeyMalformed, read_master_key
from server.frame.settings import DeclaredSettings, Deployment, setting
from server.identity.settings import IdentitySettings
from server.webhooks.settings import WebhooksSettings
from storage.pooler import Pooler
from storage.time_limits import ANSWER_SECONDS, CONNECT_SECONDS, TimeLimits
from storage.url import parameters

__all__ = [
    "KINDS",
    "LOCAL_ISSUER",
    "MODULES",
    "OF_MODULES",
    "Address",
    "ProcessSettings",
    "Settings",
    "SettingsError",
    "names",
    "read",
    "settings_of",
]

MODULES = ("identity", "commerce", "webhooks")
"""What a process can serve."""

_SIDES = ("grpc", "http", "metrics", "database")
"""What may be in plain text across a network where it is allowed."""

LOCAL_ISSUER = "http://localhost"
"""Where nobody says which environment this is: one machine's own, to try things on."""


class Address:
    """A host and a port, such as 127.0.0.1:50051 or [::1]:50051."""

    def __init__(self, text: str) -> None:
        host, _, port = text.rpartition(":")
        if not host or host != "".join(host.split()) or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
            raise ValueError("must be host:port, such as 127.0.0.1:50051")
        self.host = host.removeprefix("[").removesuffix("]")
        self.port = int(port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ProcessSettings(DeclaredSettings):
    """What every process has: its database, its keys, its ports, and what it lets in."""

    database_url: str | None = setting(
        "DATABASE_URL",
        None,
        "the database, which `backroom migrate` brings up to date: PostgreSQL 16 or newer, on one host, or on several"
        " of which the primary is found",
        unset="the embedded PostgreSQL",
        example="postgresql://user:password@host1:5432,host2:5432/backroom",
        page="docs/runbook.md#the-address-of-the-database",
        secret=True,
    )
    database_pooler: Pooler = setting(
        "BACKROOM_DATABASE_POOLER",
        Pooler.NONE,
        "the mode of a pooler in between, such as PgBouncer: `none`, `session` or `transaction`, for which"
        " `backroom migrate` has the time limits hold for the role in `DATABASE_URL`",
        page="docs/decisions/0018-behind-a-pooler.md",
    )
    direct_database_url: str | None = setting(
        "BACKROOM_DIRECT_DATABASE_URL",
        None,
        "the same database past the pooler: migrations take that way, and new jobs are heard of there at once;"
        " without it, behind a pooler for transactions, they are looked for twice a second",
        page="docs/decisions/0018-behind-a-pooler.md",
        secret=True,
    )
    database_connect_seconds: float = setting(
        "BACKROOM_DATABASE_CONNECT_SECONDS",
        CONNECT_SECONDS,
        "for how long one host may take to let us in, unless the URL has a `connect_timeout` of its own",
        page="docs/runbook.md#time-limits",
        ge=0.2,
        le=60,
    )
    database_answer_seconds: float = setting(
        "BACKROOM_DATABASE_ANSWER_SECONDS",
        ANSWER_SECONDS,
        "for how long the database may take to confirm a change before its caller is told UNAVAILABLE, and to repeat"
        " it",
        page="docs/runbook.md#time-limits",
        ge=1,
        le=60,
    )
    data_dir: Path = setting(
        "BACKROOM_DATA_DIR",
        Path(".backroom"),
        "where the embedded PostgreSQL and its first admin's password, in `admin.json`, are kept for their owner alone;"
        " as root it runs as `nobody`",
        page="docs/decisions/0017-the-embedded-postgresql.md",
    )
    master_keys: tuple[bytes, ...] = setting(
        "BACKROOM_MASTER_KEY",
        (),
        "what keys and secrets in the database are sealed with: 32 bytes in base64, as `backroom keys new-master-key`"
        " prints them; of several with commas between the first seals, and all open",
        unset="the embedded PostgreSQL has one that is made and kept in `master.key`",
        secret=True,
    )
    serving_role: str | None = setting(
        "BACKROOM_SERVING_ROLE",
        None,
        "the role that `backroom migrate` grants what serving needs, without changing the record, where another one"
        " than the owner is to serve",
        unset="nothing is granted",
        page="docs/decisions/0023-two-roles.md",
        max_length=63,
    )
    issuer_url: str | None = setting(
        "BACKROOM_ISSUER",
        None,
        "the URL of this environment: in its tokens, and kept in its database, so that a server of another environment"
        " does not start on a copy; `backroom adopt` makes a copy the database of this one",
        typed=LOCAL_ISSUER,
        page="docs/decisions/0022-environments.md",
    )
    grpc_address: Address = setting("BACKROOM_GRPC_ADDRESS", Address("127.0.0.1:50051"), "where calls are answered")
    http_address: Address = setting(
        "BACKROOM_HTTP_ADDRESS",
        Address("127.0.0.1:8080"),
        "where `/healthz`, `/readyz`, `/webhooks` and `/.well-known/jwks.json` are",
    )
    metrics_address: Address | None = setting(
        "BACKROOM_METRICS_ADDRESS",
        None,
        "where `/metrics` is shown instead",
        unset="the HTTP address; in production none",
        example="127.0.0.1:9090",
    )
    metrics_token: str | None = setting(
        "BACKROOM_METRICS_TOKEN",
        None,
        "16 characters or more, which show `/metrics` only to who sends them as `Authorization: Bearer`, in production"
        " too",
        secret=True,
        min_length=16,
    )
    environment: Literal["development", "production"] = setting(
        "BACKROOM_ENVIRONMENT",
        "development",
        "`development`, or `production`, which refuses to start without what it needs, with what is to try things with,"
        " or in plain text across a network",
        page="SECURITY.md",
    )
    allow_plaintext: tuple[str, ...] = setting(
        "BACKROOM_ALLOW_PLAINTEXT",
        (),
        "what may be in plain text in production all the same: some of `grpc`, `http`, `metrics` and `database`, with"
        " commas between",
    )
    tls_certificate: Path | None = setting(
        "BACKROOM_TLS_CERTIFICATE",
        None,
        "the server's certificate chain, a PEM file that is read again when it changes",
        unset="plain text",
    )
    tls_key: Path | None = setting(
        "BACKROOM_TLS_KEY", None, "the key of the server's certificate, a PEM file that is read again when it changes"
    )
    tls_client_ca: Path | None = setting(
        "BACKROOM_TLS_CLIENT_CA",
        None,
        "who issued the callers' certificates, which the gRPC side then requires",
        unset="callers need none",
    )
    http_tls: bool = setting(
        "BACKROOM_HTTP_TLS", False, "whether the HTTP side uses the same certificate; its callers need none"
    )
    tls_ca: Path | None = setting(
        "BACKROOM_TLS_CA", None, "who issued the server's certificate, for commands that call the server"
    )
    tls_server_name: str | None = setting(
        "BACKROOM_TLS_SERVER_NAME",
        None,
        "the name in the server's certificate, for commands that call it by another one",
    )
    tls_caller_certificate: Path | None = setting(
        "BACKROOM_TLS_CALLER_CERTIFICATE", None, "the certificate that commands show to a server that asks for one"
    )
    tls_caller_key: Path | None = setting(
        "BACKROOM_TLS_CALLER_KEY", None, "the key of the certificate that commands show"
    )
    reflection: bool | None = setting(
        "BACKROOM_REFLECTION",
        None,
        "whether tools may read the contract from the server, by gRPC reflection, and `/` says more than a name",
        unset="`true`, in production `false`",
    )
    max_calls: int = setting(
        "BACKROOM_MAX_CALLS",
        1000,
        "how many unary calls may be under way in each process, of which a fifth is kept for staff and services. The"
        " excess is `OVERLOADED`, and what one customer or network has above 100 `TOO_MANY_AT_ONCE`; or `CANCELLED` by"
        " gRPC itself where calls come faster than they can be refused",
        ge=1,
        le=100_000,
    )
    max_streams: int = setting(
        "BACKROOM_MAX_STREAMS",
        1000,
        "how many streams of each direction may be under way in each process; who is refused is told the same",
        ge=1,
        le=100_000,
    )
    calls_per_second: float | None = setting(
        "BACKROOM_CALLS_PER_SECOND",
        None,
        "how often one caller may call each process in the long run. A call takes one more for each 4 KiB that it sends"
        " and each 16 KiB that it is answered. A number counts for staff and services too, and `0` limits nobody",
        unset="`100`, of customers and strangers alone",
        ge=0,
        le=1e6,
    )
    calls_burst: int | None = setting(
        "BACKROOM_CALLS_BURST",
        None,
        "how often one caller may call each process at once, after a rest",
        unset="`200`, or a second's worth of the rate that is set",
        ge=1,
        le=1_000_000,
    )
    trusted_proxies: tuple[Network, ...] = setting(
        "BACKROOM_TRUSTED_PROXIES",
        (),
        "networks whose callers say by `x-forwarded-for` metadata where a call really comes from: proxies, and the"
        " product's own servers that call Login for their users",
        unset="a call comes from where its connection does",
        example="10.1.0.0/16",
        page="docs/decisions/0012-throttling-and-mail.md",
    )
    modules: tuple[str, ...] = setting(
        "BACKROOM_MODULES",
        MODULES,
        "what this process serves: `all`, or some of"
        f" {', '.join(f'`{each}`' for each in MODULES)}, with commas between",
        typed="all",
    )
    drain_seconds: float = setting(
        "BACKROOM_DRAIN_SECONDS",
        3.0,
        "for how long a stopping server goes on answering while load balancers learn that it stops",
        page="docs/runbook.md#rolling-restarts",
        ge=0,
        le=300,
    )
    api_key: str | None = setting(
        "BACKROOM_API_KEY",
        None,
        "the service account's key that `demo`, `replay` and `bench` sign in with",
        unset="an account is made for them, by the admin in `admin.json`",
        secret=True,
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting(
        "LOG_LEVEL", "INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`"
    )
    log_format: Literal["auto", "json", "pretty"] = setting(
        "LOG_FORMAT", "auto", "`json`, `pretty`, or `auto`: pretty on a terminal"
    )

    @property
    def embedded(self) -> bool:
        """Whether the database is the embedded one, in the data folder."""
        return self.database_url is None

    @property
    def deployment(self) -> Deployment:
        """What a module's settings may have to know."""
        return Deployment(self.environment == "production", self.embedded, self.data_dir)

    @property
    def issuer(self) -> str:
        """The URL of this environment, by which its tokens and its database are told from another one's."""
        return self.issuer_url or LOCAL_ISSUER

    @property
    def time_limits(self) -> TimeLimits:
        """How long the database may keep us waiting."""
        return TimeLimits(self.database_connect_seconds, self.database_answer_seconds)

    @property
    def reflects(self) -> bool:
        """Whether the server tells its contract to anyone who asks: by default not in production."""
        return self.environment != "production" if self.reflection is None else self.reflection

    @property
    def pooler(self) -> Pooler:
        """What stands before the database; nothing stands before the embedded one."""
        return Pooler.NONE if self.embedded else self.database_pooler

    @field_validator("database_url", "direct_database_url")
    @classmethod
    def _well_formed(cls, value: str | None) -> str | None:
        if value is not None:
            parameters(value)
        return value

    @field_validator("master_keys", mode="before")
    @classmethod
    def _master_keys(cls, value: object) -> object:
        try:
            return tuple(map(read_master_key, value.split(","))) if isinstance(value, str) else value
        except MasterKeyMalformed:
            raise ValueError("must be 32 random bytes in base64; more than one, with commas between") from None

    @field_validator("metrics_token")
    @classmethod
    def _bearer_token(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9\-._~+/]+=*", value):
            raise ValueError("must be a bearer token: letters, digits and -._~+/ with = at its end")
        return value

    @field_validator("issuer_url")
    @classmethod
    def _issuer(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[!-\"$->@-~]{1,200}", value):
            raise ValueError("must be a URL without ? and #, such as https://backroom.example.com")
        return value

    @field_validator("grpc_address", "http_address", "metrics_address", mode="before")
    @classmethod
    def _address(cls, value: object) -> object:
        return Address(value) if isinstance(value, str) else value

    @field_validator("allow_plaintext", mode="before")
    @classmethod
    def _sides(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        sides = _listed(value)
        if not sides or not set(sides) <= set(_SIDES):
            near = did_you_mean(next(iter(set(sides) - set(_SIDES)), ""), _SIDES)
            raise ValueError(f"must be some of {', '.join(_SIDES)}, with commas between{near}")
        return sides

    @field_validator("modules", mode="before")
    @classmethod
    def _known_modules(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = _listed(value)
        if value.strip() == "all":
            return MODULES
        unknown = [name for name in names if name not in MODULES]
        if unknown or not names:
            near = did_you_mean(unknown[0], ("all", *MODULES)) if unknown else ""
            raise ValueError(f"must be all, or some of {', '.join(MODULES)}, with commas between{near}")
        return names

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return read_networks(value) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("environment", "log_format", "database_pooler", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


class Settings(ProcessSettings, IdentitySettings, CommerceSettings, WebhooksSettings):
    """Every setting, with its default."""


OF_MODULES: Mapping[str, type[DeclaredSettings]] = {
    "identity": IdentitySettings,
    "commerce": CommerceSettings,
    "webhooks": WebhooksSettings,
}
"""What each module declares."""

KINDS: Sequence[type[DeclaredSettings]] = (ProcessSettings, *OF_MODULES.values())
"""What is declared at all."""


def names() -> frozenset[str]:
    """The settings' names in the environment."""
    return names_of([Settings])


def read() -> Settings:
    """Reads the environment; raises SettingsError, which names each setting that is unknown or malformed."""
    return settings_of(environment())


def settings_of(given: Mapping[str, str]) -> Settings:
    """What these variables say, and nothing of the environment; raises SettingsError, as `read` does."""
    (found,) = parsed([Settings], given)
    return found


def _listed(text: str) -> tuple[str, ...]:
    """What stands between commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
