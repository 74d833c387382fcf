"""Opening a connection: what is retried, how a dead one is found out, how large an answer may be."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from backroom_client.contract import SERVICES, is_repeatable

REPEATABLE: Mapping[str, Sequence[str]] = {
    **{service.full_name: [method.name for method in service.methods if is_repeatable(method)] for service in SERVICES},
    "grpc.health.v1.Health": ("Check",),
}
"""The methods that are safe to repeat, by service; a change is safe because it carries a request_id.

A watch is repeated only while nothing of it was told; `backroom_client.watching` goes on behind what was.
"""

UNARY_DEADLINE_SECONDS = 30.0
"""In seconds: how long a unary call may take when its caller sets no timeout."""

SIGN_IN_DEADLINE_SECONDS = 10.0
"""In seconds: how long signing in may take; it waits for a server that is still starting."""

_RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 4,
    # A server under far too many calls refuses some before it looks at them: gRPC itself then says CANCELLED.
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}


def service_config() -> str:
    """The service config in JSON, as gRPC takes it."""
    names = [{"service": service, "method": method} for service, methods in REPEATABLE.items() for method in methods]
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": _RETRY}]})


def options() -> list[tuple[str, Any]]:
    """The options of every channel to Backroom."""
    return [
        ("grpc.service_config", service_config()),
        ("grpc.max_receive_message_length", 16 * 1024 * 1024),
        # A peer that vanished without a word is found out by a ping; the server takes one every 20 seconds.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # A restarted server is found again within seconds; by default the wait grows to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 5_000),
    ]


@dataclass(frozen=True, slots=True)
class Tls:
    """How a server proves who it is, and, where it asks, who we are; everything in PEM."""

    ca: bytes | None = None
    """Who issued the server's certificate; None means one of those that the system trusts."""
    certificate: bytes | None = None
    """The chain to show to a server that asks for one, with its key."""
    key: bytes | None = field(default=None, repr=False)
    server_name: str | None = None
    """The name that the server's certificate must bear, where it is not the one in the address."""

    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)

    def options(self) -> list[tuple[str, Any]]:
        return [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []


def open_channel(address: str, tls: Tls | grpc.ChannelCredentials | None) -> grpc.Channel:
    """A channel for blocking calls; it connects with the first call. Without `tls` it is in the clear."""
    if tls is None:
        return grpc.insecure_channel(address, options())
    if isinstance(tls, Tls):
        return grpc.secure_channel(address, tls.credentials(), [*options(), *tls.options()])
    return grpc.secure_channel(address, tls, options())


def open_aio_channel(
    address: str, tls: Tls | grpc.ChannelCredentials | None, interceptors: Sequence[grpc.aio.ClientInterceptor] = ()
) -> grpc.aio.Channel:
    """A channel for asyncio; channels to one address share one connection."""
    if tls is None:
        return grpc.aio.insecure_channel(address, options(), interceptors=interceptors)
    if isinstance(tls, Tls):
        return grpc.aio.secure_channel(
            address, tls.credentials(), [*options(), *tls.options()], interceptors=interceptors
        )
    return grpc.aio.secure_channel(address, tls, options(), interceptors=interceptors)
