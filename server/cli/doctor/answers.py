"""The machine, and the server that may run on it."""

import platform
import socket
import ssl
from collections.abc import Callable, Iterator

import grpc
from google.protobuf.internal import api_implementation
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from backroom_client import Backroom, Tls
from server.cli.doctor.finding import Finding, judged, noticed
from server.cli.target_server import tls_of
from server.settings import Address, Settings


def machine() -> Iterator[Finding]:
    yield Finding("Python", platform.python_version())
    backend = api_implementation.Type()
    slow = backend == "python"
    yield judged("protobuf", f"the {backend} backend", "reinstall it: this is too slow to serve" if slow else "")


def server(configured: Settings) -> Iterator[Finding]:
    if configured.embedded:
        admin = configured.data_dir / "admin.json"
        there = admin.exists()
        yield noticed("admin.json", str(admin) if there else "none yet", "" if there else "make run")
    yield _grpc(configured.grpc_address, tls_of(configured))
    yield _http(configured)


def _grpc(address: Address, tls: Tls | None) -> Finding:
    def ask() -> str:
        with Backroom(str(address), tls=tls) as backroom:
            status = backroom.health.Check(HealthCheckRequest(service="readiness"), timeout=2).status
        return HealthCheckResponse.ServingStatus.Name(status)

    return _probed("gRPC readiness", address, ask, healthy="SERVING")


def _http(configured: Settings) -> Finding:
    address = configured.http_address

    def ask() -> str:
        with _connected(configured) as connection:
            connection.sendall(f"GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(64).split(b"\r\n")[0].decode()

    return _probed("HTTP /readyz", address, ask, healthy="HTTP/1.1 200 OK")


def _connected(configured: Settings) -> socket.socket:
    """A connection to the HTTP side, encrypted where that is; the server's certificate is checked then."""
    address = configured.http_address
    plain = socket.create_connection((address.host, address.port), timeout=2)
    if not configured.http_tls:
        return plain
    try:
        context = ssl.create_default_context(cafile=configured.tls_ca)
        return context.wrap_socket(plain, server_hostname=configured.tls_server_name or address.host)
    except OSError:
        plain.close()
        raise


def _probed(what: str, address: Address, ask: Callable[[], str], *, healthy: str) -> Finding:
    try:
        answer = ask()
    except (grpc.RpcError, OSError):
        return noticed(what, f"nothing answers on {address}", "make run")
    ill = answer != healthy
    return judged(what, answer, "read its /readyz, which says why" if ill else "")
