"""Where the HTTP side listens; imports nothing of what answers there."""

import socket


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; raises OSError where the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)
