"""Which URLs an endpoint may have, and which addresses requests may go to."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from server.frame.addresses import Address, Network, is_global, literal, unwrapped
from server.frame.errors import FieldViolation
from server.webhooks.errors import UrlForbidden

_PORTS = {"https": 443, "http": 80}
_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
"""Those of RFC 3986; what is beside them, parsers read differently."""
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,254}}$)(?:{_LABEL}\.)*{_LABEL}\.?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
"""The last label of what resolvers take for an IPv4 address, such as 127.1 and 0x7f000001."""


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
        """Whether the request is not encrypted."""
        return self.scheme == "http"


def target_of(url: str) -> Target:
    """Takes a URL apart; raises UrlForbidden where nothing could be sent to it, wherever its host stood."""
    parts = _split(url)
    if parts.scheme not in _PORTS:
        raise _forbidden("must begin with https://")
    if "@" in parts.netloc:
        raise _forbidden("must not contain a user or a password")
    if "#" in url:
        raise _forbidden("must not contain a fragment")
    host, port = _host(parts), _port(parts)
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == _PORTS[parts.scheme] else f"{shown}:{port}"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, authority, path)


def check_url(url: str, allowed: Sequence[Network]) -> None:
    """Raises UrlForbidden where an endpoint may not have this URL.

    A host that is an address is judged here; what a name stands for is judged each time it is connected to, since that
    may change. What is not encrypted goes to the operator's allowed networks alone: where there are none, http is
    refused, and where there are some, a name that leads out of them is found out when it is connected to.
    """
    target = target_of(url)
    address = literal(target.host)
    if target.plain and not allowed:
        raise _forbidden("must begin with https://")
    if address is not None and not permitted(address, allowed, plain=target.plain):
        raise _forbidden("must not point to an address outside the public internet")


def permitted(address: Address, allowed: Sequence[Network], *, plain: bool) -> bool:
    """Whether a request may go to an address, `plain` where it is not encrypted.

    It may where the operator allows the address's network; and encrypted, where the address is a global one: neither
    private, nor this machine's, nor a group's. An IPv4 address that is wrapped in an IPv6 one counts as itself.
    """
    real = unwrapped(address)
    if any(real in network or address in network for network in allowed):
        return True
    return not plain and is_global(real)


def _split(url: str) -> SplitResult:
    if not _CHARACTERS.fullmatch(url):
        raise _forbidden(
            "must contain only URL characters: percent-encode others, and write the host name in punycode (xn--)"
        )
    try:
        return urlsplit(url)
    except ValueError:
        raise _forbidden("must be a URL") from None


def _port(parts: SplitResult) -> int:
    try:
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise _forbidden("must have a port from 1 to 65535")
    return port


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    is_address = literal(host) is not None and "%" not in host
    is_name = _NAME.fullmatch(host) and not _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2])
    # In brackets, what is no address passes for one of a version to come, such as [v1.x].
    if (not is_address and not is_name) or ("[" in parts.netloc and ":" not in host):
        raise _forbidden("must contain a valid host")
    return host


def _forbidden(why: str) -> UrlForbidden:
    return UrlForbidden(fields=[FieldViolation("endpoint.url", why)])
