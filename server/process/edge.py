"""How a server meets the network, and what the settings say of that."""

import math
from dataclasses import dataclass, field

import structlog

from server.frame.interceptors import CallLimits, ConcurrencyLimits, Rate
from server.process.certificates import Certificates, CertificatesUnreadable
from server.process.connections import ConnectionLimits
from server.process.descriptors import Descriptors
from server.process.failure import Failure
from server.settings import Settings

_CUSTOMERS_RATE = Rate(per_second=100, burst=200)
"""Of a customer, or of a network without an account, where nothing is set: above what a person or their app does."""


@dataclass(frozen=True)
class Edge:
    """How a server meets the network."""

    certificates: Certificates | None = None
    """Of the gRPC side; None means plain text."""
    http_certificates: Certificates | None = None
    """Of the HTTP side, whose callers need none of their own."""
    reflection: bool = True
    descriptors: Descriptors = field(default_factory=Descriptors)
    connections: ConnectionLimits | None = None
    """None means what befits the descriptors."""

    @property
    def connection_limits(self) -> ConnectionLimits:
        return self.connections or ConnectionLimits.of(self.descriptors.limit)


def edge_of(configured: Settings, logger: structlog.typing.FilteringBoundLogger) -> Edge:
    """Reads the certificates, and lets this process have as many descriptors as it may; raises Failure."""
    certificate, key = configured.tls_certificate, configured.tls_key
    grpc_side = http_side = None
    try:
        if certificate and key:
            grpc_side = Certificates(certificate, key, logger, client_ca=configured.tls_client_ca)
        if certificate and key and configured.http_tls:
            http_side = Certificates(certificate, key, logger)
    except CertificatesUnreadable as error:
        raise Failure(f"BACKROOM_TLS_CERTIFICATE: {error}") from None
    return Edge(grpc_side, http_side, configured.reflects, Descriptors.raised())


def limits_of(configured: Settings) -> CallLimits:
    at_once = ConcurrencyLimits(configured.max_calls, configured.max_streams)
    if configured.calls_per_second is None:
        return CallLimits(at_once, _CUSTOMERS_RATE, rate_exempts_staff=True)
    if not configured.calls_per_second:
        return CallLimits(at_once)
    burst = configured.calls_burst or math.ceil(configured.calls_per_second)
    return CallLimits(at_once, Rate(configured.calls_per_second, burst))
