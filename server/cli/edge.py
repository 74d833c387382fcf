"""What the settings say of the edge: how to meet the network, and how a command calls a server."""

import math
from pathlib import Path

import structlog

from backroom_client.channel import Tls
from server.cli.failure import Failure
from server.frame.interceptors import CallLimits, MostAtOnce, Rate
from server.process.certificates import Certificates, CertificatesUnreadable
from server.process.descriptors import Descriptors
from server.process.edge import Edge
from server.settings import Settings

_CUSTOMERS_RATE = Rate(per_second=100, burst=200)
"""Of a customer, or of a network without an account, where nothing is set: above what a person or their app does."""


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
    at_once = MostAtOnce(configured.max_calls, configured.max_streams)
    if configured.calls_per_second is None:
        return CallLimits(at_once, _CUSTOMERS_RATE, rate_spares_staff=True)
    if not configured.calls_per_second:
        return CallLimits(at_once)
    burst = configured.calls_burst or math.ceil(configured.calls_per_second)
    return CallLimits(at_once, Rate(configured.calls_per_second, burst))


def tls_of(configured: Settings) -> Tls | None:
    """How a command calls the server of these settings; None means in plain text."""
    if not (configured.tls_ca or configured.tls_certificate):
        return None
    certificate, key = configured.tls_caller_certificate, configured.tls_caller_key
    return Tls(
        ca=_read("BACKROOM_TLS_CA", configured.tls_ca),
        certificate=_read("BACKROOM_TLS_CALLER_CERTIFICATE", certificate),
        key=_read("BACKROOM_TLS_CALLER_KEY", key),
        server_name=configured.tls_server_name,
    )


def _read(setting: str, path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise Failure(f"{setting}: {path}: {error.strerror}") from None
