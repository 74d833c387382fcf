"""The ports that a server listens on, and those that several processes serve on together.

It imports nothing of what answers there: a supervisor has no use for it.
"""

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

from server.process.failure import Failure
from server.settings import Address, Settings


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; raises OSError where the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the workers serve; a port that was left to the system is chosen here, once for all of them."""

    grpc: Address
    http: Address
    http_socket: socket.socket
    """It listens; each worker takes connections from it, so that none is lost with one of them."""
    metrics_socket: socket.socket | None = None
    """Where the metrics have an address of their own."""
    further_grpc: Mapping[str, Address] = field(default_factory=dict)
    """Where calls are answered, too, by the settings' names."""


@contextmanager
def reserved_ports(configured: Settings) -> Iterator[Ports]:
    """All ports, which nobody else gets while the block lasts; raises Failure where somebody else has one."""
    http = configured.http_address
    with ExitStack() as reserved:
        grpc = _reserve_grpc("BACKROOM_GRPC_ADDRESS", configured.grpc_address, reserved)
        further = {
            name: _reserve_grpc(name, each, reserved) for name, each in configured.further_grpc_addresses.items()
        }
        http_socket = _listen("BACKROOM_HTTP_ADDRESS", http, reserved)
        metrics_address = configured.metrics_address
        metrics_socket = _listen("BACKROOM_METRICS_ADDRESS", metrics_address, reserved) if metrics_address else None
        yield Ports(grpc, _with(http, http_socket.getsockname()[1]), http_socket, metrics_socket, further)


def _listen(setting: str, address: Address, reserved: ExitStack) -> socket.socket:
    try:
        return reserved.enter_context(closing(listening(address.host, address.port)))
    except OSError as error:
        raise Failure(f"{setting}: {address}: {os.strerror(error.errno or 0)}") from None


def _reserve_grpc(setting: str, address: Address, reserved: ExitStack) -> Address:
    """Returns the address with the port that was chosen for it."""
    try:
        return _with(address, _reserve(address, reserved))
    except OSError:
        raise Failure(f"{setting}: {address} cannot be listened on; is it taken?") from None


def _reserve(address: Address, reserved: ExitStack) -> int:
    """Reserves the port at each of the host's addresses, and returns it."""
    port, failed = address.port, list[OSError]()
    found = socket.getaddrinfo(address.host, port, type=socket.SOCK_STREAM)
    for family, _, _, _, where in found:
        try:
            reservation = reserved.enter_context(closing(_reservation(family, (where[0], port, *where[2:]))))
            port = reservation.getsockname()[1]
        except OSError as error:
            failed.append(error)
    # One address may be missing, as the IPv6 one of "localhost" on a machine without: gRPC does without it too.
    if len(failed) == len(found) or any(error.errno == errno.EADDRINUSE for error in failed):
        raise failed[0]
    return port


def _reservation(family: socket.AddressFamily, where: tuple[object, ...]) -> socket.socket:
    """A socket that does not listen, next to which only those can be bound that share the port on purpose."""
    # Whoever shares ports would be let in by whoever does: only a socket that shares nothing finds others out.
    with socket.socket(family, socket.SOCK_STREAM) as alone:
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind(where)
        where = (where[0], alone.getsockname()[1], *where[2:])
    try:
        return _shared(family, where, reuse_address=False)
    except OSError:
        # Connections of a server that ended a moment ago. Beside a socket that overlooks them another supervisor
        # would be let in, though only until the first worker listens.
        return _shared(family, where, reuse_address=True)


def _shared(family: socket.AddressFamily, where: tuple[object, ...], *, reuse_address: bool) -> socket.socket:
    reservation = socket.socket(family, socket.SOCK_STREAM)
    try:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse_address))
        reservation.bind(where)
    except OSError:
        reservation.close()
        raise
    return reservation


def _with(address: Address, port: int) -> Address:
    return Address(f"{str(address).rpartition(':')[0]}:{port}")
