"""What is set for the edge: where a server listens, what it shows there, and how much it lets in."""

import re
from pathlib import Path

from pydantic import field_validator

from server.frame.addresses import Network, read_networks
from server.frame.environment import did_you_mean, listed
from server.frame.settings import Address, DeclaredSettings, setting

_SIDES = ("grpc", "http", "metrics", "database")
"""What may be in plain text across a network where it is allowed."""


class EdgeSettings(DeclaredSettings):
    """The edge: addresses, certificates, and how much is accepted."""

    grpc_address: Address = setting("BACKROOM_GRPC_ADDRESS", Address("127.0.0.1:50051"), "where calls are answered")
    http_address: Address = setting(
        "BACKROOM_HTTP_ADDRESS",
        Address("127.0.0.1:8080"),
        "where the HTTP side answers: probes, keys, and what modules have there, such as webhooks and downloads",
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
        " excess is `OVERLOADED`, and what one customer or network has above 100 `TOO_MANY_CONCURRENT_CALLS`; or"
        " `CANCELLED` by gRPC itself where calls come faster than they can be refused",
        ge=1,
        le=100_000,
    )
    max_streams: int = setting(
        "BACKROOM_MAX_STREAMS",
        1000,
        "how many streams of each direction may be under way in each process; they are refused in the same way",
        ge=1,
        le=100_000,
    )
    calls_per_second: float | None = setting(
        "BACKROOM_CALLS_PER_SECOND",
        None,
        "how often one caller may call each process in the long run. A call takes one more for each 4 KiB that it sends"
        " and each 16 KiB that it is answered. A number counts for staff and services too, and `0` limits nobody",
        unset="`100`, of customers and outsiders alone",
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
    drain_seconds: float = setting(
        "BACKROOM_DRAIN_SECONDS",
        3.0,
        "for how long a stopping server continues to answer while load balancers learn that it stops",
        page="docs/runbook.md#rolling-restarts",
        ge=0,
        le=300,
    )

    @field_validator("metrics_token")
    @classmethod
    def _bearer_token(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9\-._~+/]+=*", value):
            raise ValueError("must be a bearer token: letters, digits and -._~+/ with = at its end")
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
        sides = listed(value)
        if not sides or not set(sides) <= set(_SIDES):
            near = did_you_mean(next(iter(set(sides) - set(_SIDES)), ""), _SIDES)
            raise ValueError(f"must be some of {', '.join(_SIDES)}, with commas between{near}")
        return sides

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return read_networks(value) if isinstance(value, str) else value
