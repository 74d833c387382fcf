from dataclasses import dataclass, field

from server.process.certificates import Certificates
from server.process.connections import ConnectionLimits
from server.process.descriptors import Descriptors


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
