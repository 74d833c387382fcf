"""What a gRPC connection may do, and for how long."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_DESCRIPTORS_A_SECOND = 1024
"""With so many descriptors, idle connections may stay for a second; with twice as many, for two."""


@dataclass(frozen=True)
class ConnectionLimits:
    """In seconds, but for the streams and bytes."""

    idle: float = 600.0
    """For how long a connection may stay without a call: it occupies a descriptor that a new client may need."""
    handshake: float = 10.0
    """How long a new connection may take until it speaks HTTP/2, TLS included."""
    age: float = 3600.0
    """Clients find new servers when their connection ends now and then."""
    age_grace: float = 300.0
    """How long the calls of a connection that has come of age may go on."""
    keepalive: float = 60.0
    """After so long without a frame, a client is pinged."""
    keepalive_timeout: float = 20.0
    streams: int = 1000
    """Concurrent calls on one connection; those above it wait."""
    metadata: int = 16 * 1024
    """In bytes, of one call: above it calls are refused more and more, and above twice that always."""

    @classmethod
    def of(cls, descriptors: int) -> "ConnectionLimits":
        """The limits of a process with so many descriptors: the fewer, the sooner an idle connection has to go."""
        allowed = max(1.0, descriptors / _DESCRIPTORS_A_SECOND)
        return cls(idle=min(allowed, cls.idle), handshake=min(allowed, cls.handshake))

    def options(self, *, shared_port: bool = False) -> Sequence[tuple[str, Any]]:
        """As gRPC's core takes them; the port is shared with other processes, or with none."""
        # Late: a supervisor of servers reads the rules of this package, and has no use for interceptors.
        from server.frame.contract import MAX_LIMIT_BYTES

        return (
            # A second server must not start silently on the same port.
            ("grpc.so_reuseport", int(shared_port)),
            # Above each method's own limit, which refuses with a reason.
            ("grpc.max_receive_message_length", 2 * MAX_LIMIT_BYTES),
            # Of gRPC's algorithms none but the first, which is no compression: a message of 1 kB is not to become 1 MB
            # before any limit can be applied to it. A client that compresses is answered UNIMPLEMENTED.
            ("grpc.compression_enabled_algorithms_bitset", 1),
            # Without a number announced, thousands of streams on one connection are answered CANCELLED.
            ("grpc.max_concurrent_streams", self.streams),
            # The core would reset the streams above that number; without this it lets them wait.
            ("grpc.http.overload_protection", 0),
            ("grpc.max_connection_idle_ms", _ms(self.idle)),
            ("grpc.server_handshake_timeout_ms", _ms(self.handshake)),
            ("grpc.max_connection_age_ms", _ms(self.age)),
            ("grpc.max_connection_age_grace_ms", _ms(self.age_grace)),
            ("grpc.keepalive_time_ms", _ms(self.keepalive)),
            ("grpc.keepalive_timeout_ms", _ms(self.keepalive_timeout)),
            # The one before looks for any bytes at all; alone, it left a silent caller's connection for a minute.
            ("grpc.http2.ping_timeout_ms", _ms(self.keepalive_timeout)),
            # A watch may have nothing to send for hours; its client is pinged all the while.
            ("grpc.http2.max_pings_without_data", 0),
            # Our own client pings every 30 seconds.
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.max_metadata_size", self.metadata),
            ("grpc.absolute_max_metadata_size", 2 * self.metadata),
        )


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
