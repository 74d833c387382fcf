"""Where requests may go: which URLs an endpoint may have, and which addresses are connected to."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from server.frame.errors import FieldViolation
from server.webhooks.errors import UrlForbidden

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
"""Those of RFC 3986: what is outside of them, parsers read differently."""
_NAME = re.compile(r"(?=.{1,253}\.?$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)\.?$")
"""The last label of what resolvers take for an IPv4 address, such as 127.1 and 0x7f000001."""

_PORTS = {"https": 443, "http": 80}
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_INWARD = (
    # IETF's own protocols, which the standard library knows in part; a cloud's metadata are among them.
    IPv4Network("192.0.0.0/24"),
    # The host under a virtual machine of Azure.
    IPv4Network("168.63.129.16/32"),
)
"""Addresses that are global, and yet never of somebody outside."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL's parts, as a request needs them."""

    scheme: str
    host: str
    """In lower case; an IPv6 address without its brackets."""
    port: int
    authority: str
    """What the Host header says."""
    path: str
    """With the query."""

    @property
    def plain(self) -> bool:
        """Whether the request is sent in the clear."""
        return self.scheme == "http"


def target_of(url: str) -> Target:
    """Takes a URL apart; raises UrlForbidden where nothing may be sent to it, wherever its host stands."""
    parts = _split(url)
    port = _port(parts)
    if parts.scheme not in _PORTS:
        raise _forbidden("must begin with https://")
    if "@" in parts.netloc:
        raise _forbidden("must hold no user and no password")
    if "#" in url:
        raise _forbidden("must hold no fragment")
    host = _host(parts)
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == _PORTS[parts.scheme] else f"{shown}:{port}"
    return Target(parts.scheme, host, port, authority, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def check_url(url: str, allowed: Sequence[Network]) -> None:
    """Raises UrlForbidden where an endpoint may not have this URL.

    A host that is an address is checked here; what a name stands for is checked each time it is connected to, since
    it may change. In the clear nothing is sent but to the networks that the operator allows: without such networks
    http is refused, and with them a name may turn out to lie outside of them later.
    """
    target = target_of(url)
    address = literal(target.host)
    if target.plain and not allowed:
        raise _forbidden("must begin with https://")
    if address is not None and not permitted(address, allowed, plain=target.plain):
        raise _forbidden("must not lead to an address that is not of the public internet")


def literal(host: str) -> Address | None:
    """The address that a host is; None where it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def permitted(address: Address, allowed: Sequence[Network], *, plain: bool) -> bool:
    """Whether a request may be sent to an address, `plain` in the clear.

    It may where the operator allows the address's network, and encrypted where the address is a global one: not
    private, not this machine's, not a group's. An IPv4 address that is wrapped in an IPv6 one counts as itself.
    """
    real = _unwrapped(address)
    if any(real in network or address in network for network in allowed):
        return True
    return not plain and _is_global(real)


def _is_global(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        return address in _UNICAST and address.is_global
    if any(address in network for network in _INWARD):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _split(url: str) -> SplitResult:
    if not _CHARACTERS.fullmatch(url):
        raise _forbidden("must hold only a URL's characters: others are percent-encoded, and in a host's name xn--")
    try:
        return urlsplit(url)
    except ValueError:
        raise _forbidden("is not a URL") from None


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise _forbidden("must have a port of 1 to 65535")
    return port or _PORTS.get(parts.scheme, 0)


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    address = literal(host)
    if isinstance(address, IPv6Address) and "%" not in host:
        return host
    if isinstance(address, IPv4Address):
        return host
    if not _NAME.fullmatch(host) or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        raise _forbidden("must name a host")
    return host


def _forbidden(why: str) -> UrlForbidden:
    return UrlForbidden(fields=[FieldViolation("url", why)])
