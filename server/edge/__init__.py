"""Where the process meets the network: certificates, descriptors, what a connection may do, and when not to start."""

from server.edge.callers import Callers
from server.edge.certificates import Certificates, CertificatesUnreadable
from server.edge.connections import ConnectionLimits
from server.edge.descriptors import Descriptors
from server.edge.edge import Edge

__all__ = ["Callers", "Certificates", "CertificatesUnreadable", "ConnectionLimits", "Descriptors", "Edge"]
