"""The environment, read once into one frozen object."""

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from server.frame.addresses import LOCAL_ISSUER, Network, read_networks
from server.frame.sealing import MasterKeyMalformed, read_master_key
from server.identity.outbox.smtp import SmtpServer, read_smtp_url
from server.identity.rules.accounts import is_email
from server.modules import MODULES
from server.webhooks.rules.sources import Source, read_sources
from storage.commerce.records import PaymentProvider
from storage.pooler import Pooler
from storage.time_limits import ANSWER_SECONDS, CONNECT_SECONDS, TimeLimits
from storage.url import parameters

_SIDES = ("grpc", "http", "metrics", "database")
"""What may be in plain text across a network where it is allowed."""
_PREFIX = "BACKROOM_"
_OF_TESTS = "BACKROOM_TEST_"
"""What the tests alone read."""
_ENCODING = "utf-8-sig"
"""Of `.env`: some editors begin a file in UTF-8 with a mark that says so."""


class SettingsError(Exception):
    """The environment holds a setting that is unknown or malformed; the text names it."""


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


class Settings(BaseSettings):
    """Every setting, with its default; where the environment is silent, a `.env` in the working directory counts."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_file=".env",
        env_file_encoding=_ENCODING,
        env_ignore_empty=True,
        case_sensitive=True,
        arbitrary_types_allowed=True,
    )

    database_url: str | None = Field(None, validation_alias="DATABASE_URL", repr=False)
    database_pooler: Pooler = Field(Pooler.NONE, validation_alias="BACKROOM_DATABASE_POOLER")
    direct_database_url: str | None = Field(None, validation_alias="BACKROOM_DIRECT_DATABASE_URL", repr=False)
    database_connect_seconds: float = Field(
        CONNECT_SECONDS, ge=0.2, le=60, validation_alias="BACKROOM_DATABASE_CONNECT_SECONDS"
    )
    database_answer_seconds: float = Field(
        ANSWER_SECONDS, ge=1, le=60, validation_alias="BACKROOM_DATABASE_ANSWER_SECONDS"
    )
    serving_role: str | None = Field(None, max_length=63, validation_alias="BACKROOM_SERVING_ROLE")
    master_keys: Annotated[tuple[bytes, ...], NoDecode] = Field((), validation_alias="BACKROOM_MASTER_KEY", repr=False)
    data_dir: Path = Field(Path(".backroom"), validation_alias="BACKROOM_DATA_DIR")
    grpc_address: Address = Field(Address("127.0.0.1:50051"), validation_alias="BACKROOM_GRPC_ADDRESS")
    http_address: Address = Field(Address("127.0.0.1:8080"), validation_alias="BACKROOM_HTTP_ADDRESS")
    metrics_address: Address | None = Field(None, validation_alias="BACKROOM_METRICS_ADDRESS")
    metrics_token: str | None = Field(None, min_length=16, validation_alias="BACKROOM_METRICS_TOKEN", repr=False)
    environment: Literal["development", "production"] = Field("development", validation_alias="BACKROOM_ENVIRONMENT")
    issuer_url: str | None = Field(None, validation_alias="BACKROOM_ISSUER")
    allow_plaintext: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="BACKROOM_ALLOW_PLAINTEXT")
    tls_certificate: Path | None = Field(None, validation_alias="BACKROOM_TLS_CERTIFICATE")
    tls_key: Path | None = Field(None, validation_alias="BACKROOM_TLS_KEY")
    tls_client_ca: Path | None = Field(None, validation_alias="BACKROOM_TLS_CLIENT_CA")
    http_tls: bool = Field(False, validation_alias="BACKROOM_HTTP_TLS")
    tls_ca: Path | None = Field(None, validation_alias="BACKROOM_TLS_CA")
    tls_server_name: str | None = Field(None, validation_alias="BACKROOM_TLS_SERVER_NAME")
    tls_caller_certificate: Path | None = Field(None, validation_alias="BACKROOM_TLS_CALLER_CERTIFICATE")
    tls_caller_key: Path | None = Field(None, validation_alias="BACKROOM_TLS_CALLER_KEY")
    reflection: bool | None = Field(None, validation_alias="BACKROOM_REFLECTION")
    max_calls: int = Field(1000, ge=1, le=100_000, validation_alias="BACKROOM_MAX_CALLS")
    max_streams: int = Field(1000, ge=1, le=100_000, validation_alias="BACKROOM_MAX_STREAMS")
    calls_per_second: float | None = Field(None, ge=0, le=1e6, validation_alias="BACKROOM_CALLS_PER_SECOND")
    calls_burst: int | None = Field(None, ge=1, le=1_000_000, validation_alias="BACKROOM_CALLS_BURST")
    modules: Annotated[tuple[str, ...], NoDecode] = Field(MODULES, validation_alias="BACKROOM_MODULES")
    hold_seconds: float = Field(900.0, ge=1, le=30 * 86_400, validation_alias="BACKROOM_HOLD_SECONDS")
    max_unpaid_orders: int = Field(20, ge=1, le=1_000_000, validation_alias="BACKROOM_MAX_UNPAID_ORDERS")
    max_held_pieces: int = Field(1000, ge=1, le=10**12, validation_alias="BACKROOM_MAX_HELD_PIECES")
    payment_provider: Literal[PaymentProvider, "none"] | None = Field(
        None, validation_alias="BACKROOM_PAYMENT_PROVIDER"
    )
    sandbox_url: str | None = Field(None, validation_alias="BACKROOM_SANDBOX_URL")
    sandbox_key: str | None = Field(None, validation_alias="BACKROOM_SANDBOX_KEY", repr=False)
    sandbox_webhook_secret: str | None = Field(None, validation_alias="BACKROOM_SANDBOX_WEBHOOK_SECRET", repr=False)
    stripe_key: str | None = Field(None, validation_alias="BACKROOM_STRIPE_KEY", repr=False)
    webhook_sources: Annotated[tuple[Source, ...], NoDecode] = Field(
        (), validation_alias="BACKROOM_WEBHOOK_SOURCES", repr=False
    )
    webhook_allowed_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        (), validation_alias="BACKROOM_WEBHOOK_ALLOWED_NETWORKS"
    )
    audit_anchor_file: Path | None = Field(None, validation_alias="BACKROOM_AUDIT_ANCHOR_FILE")
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field((), validation_alias="BACKROOM_TRUSTED_PROXIES")
    mail: Literal["log", "file", "smtp"] | None = Field(None, validation_alias="BACKROOM_MAIL")
    mail_from: str | None = Field(None, validation_alias="BACKROOM_MAIL_FROM")
    mail_link: str | None = Field(None, validation_alias="BACKROOM_MAIL_LINK")
    smtp_url: SmtpServer | None = Field(None, validation_alias="BACKROOM_SMTP_URL", repr=False)
    drain_seconds: float = Field(3.0, ge=0, le=300, validation_alias="BACKROOM_DRAIN_SECONDS")
    api_key: str | None = Field(None, validation_alias="BACKROOM_API_KEY", repr=False)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="LOG_LEVEL")
    log_format: Literal["auto", "json", "pretty"] = Field("auto", validation_alias="LOG_FORMAT")

    @property
    def embedded(self) -> bool:
        """Whether the database is the embedded one, in the data folder."""
        return self.database_url is None

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

    @field_validator("webhook_sources", mode="before")
    @classmethod
    def _sources(cls, value: object) -> object:
        return read_sources(value) if isinstance(value, str) else value

    @field_validator("sandbox_webhook_secret")
    @classmethod
    def _secret(cls, value: str | None) -> str | None:
        if value is not None:
            read_sources(json.dumps({"sandbox": {"scheme": "standard", "secrets": [value]}}))
        return value

    @field_validator("webhook_allowed_networks", "trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return read_networks(value) if isinstance(value, str) else value

    @field_validator("mail_from")
    @classmethod
    def _mail_address(cls, value: str | None) -> str | None:
        if value is not None and not is_email(value):
            raise ValueError("must be an address such as no-reply@example.com")
        return value

    @field_validator("mail_link")
    @classmethod
    def _mail_link(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[!-~]*\{token\}[!-~]*", value):
            raise ValueError("must be a URL that holds {token}, such as https://example.com/mail?token={token}")
        return value

    @field_validator("smtp_url", mode="before")
    @classmethod
    def _smtp_server(cls, value: object) -> object:
        return read_smtp_url(value) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("environment", "log_format", "database_pooler", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


def _listed(text: str) -> tuple[str, ...]:
    """What stands between commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def did_you_mean(typed: str, choices: Iterable[str]) -> str:
    """ "; did you mean ...?" with what is nearest to what was typed; empty where nothing is near."""
    folded = {each.casefold(): each for each in choices}
    begun = [each for each in folded if typed and each.startswith(typed.casefold())]
    found = begun if len(begun) == 1 else get_close_matches(typed.casefold(), folded, n=1)
    return f"; did you mean {folded[found[0]]}?" if found else ""


def names() -> frozenset[str]:
    """The settings' names in the environment."""
    return frozenset(str(field.validation_alias) for field in Settings.model_fields.values())


def read() -> Settings:
    """Reads the environment; raises SettingsError, which names each setting that is unknown or malformed."""
    problems = list(_mistyped(_given().keys()))
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [_problem(each) for each in error.errors()]
        raise SettingsError("\n".join(problems)) from None
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _mistyped(given: Collection[str]) -> Iterator[str]:
    """The names that are no settings, and were surely meant as such."""
    for name in sorted(given):
        if name in names() or name.startswith(_OF_TESTS):
            continue
        capitals = name.upper()
        if capitals in names():
            yield f"{name}: settings are written in capitals: {capitals}"
        elif capitals.startswith(_PREFIX):
            # Without what they all begin with, which alone would make any two of them near.
            ends = [each.removeprefix(_PREFIX) for each in names() if each.startswith(_PREFIX)]
            near = did_you_mean(capitals.removeprefix(_PREFIX), ends).replace("mean ", f"mean {_PREFIX}")
            yield f"{name}: there is no such setting{near or '; README.md and .env.example list them'}"
        elif "DATABASE_URL" not in given and _slipped(capitals, "DATABASE_URL"):
            # With it unread, the embedded database would be served in silence.
            yield f"{name}: there is no such setting; did you mean DATABASE_URL?"


def _slipped(typed: str, meant: str) -> bool:
    """Whether one letter was left out or typed twice, or two were swapped: what is never another program's name."""
    places = range(len(meant))
    slips = {meant[:at] + meant[at + 1 :] for at in places}
    slips |= {meant[:at] + meant[at] + meant[at:] for at in places}
    slips |= {meant[:at] + meant[at : at + 2][::-1] + meant[at + 2 :] for at in places}
    return typed in slips


def _problem(error: ErrorDetails) -> str:
    name, given, context = str(error["loc"][0]), str(error["input"]), error.get("ctx", {})
    if error["type"] == "literal_error":
        choices = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return f"{name}: must be {_either(choices)}{did_you_mean(given, choices)}"
    if plain := _PLAIN.get(error["type"]):
        return f"{name}: must be {plain.format(**context)}"
    return f"{name}: {error['msg'].removeprefix('Value error, ')}"


_PLAIN = {
    "string_too_short": "at least {min_length} characters",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_parsing": "true or false",
    "greater_than": "more than {gt:,.15g}",
    "greater_than_equal": "at least {ge:,.15g}",
    "less_than_equal": "at most {le:,.15g}",
}
"""What pydantic says of its kinds of error, in fewer words."""


def _either(choices: Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _given() -> Mapping[str, object]:
    """The names of the environment and of `.env`; raises SettingsError where that is no text."""
    from dotenv import dotenv_values

    path = Path(".env")
    try:
        is_text = not path.is_file() or "\0" not in path.read_text(_ENCODING)
    except UnicodeDecodeError:
        is_text = False
    except OSError as error:
        raise SettingsError(f".env: {error.strerror}; let this user read it, or remove it") from None
    if not is_text:
        raise SettingsError(".env: is not written in UTF-8, as Windows's UTF-16 or Latin-1 are not; save it as UTF-8")
    return {**dotenv_values(path, encoding=_ENCODING), **os.environ}
