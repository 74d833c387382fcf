"""Network addresses, as callers have them and settings name them."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REMEMBERED = 1024
"""Reading an address takes longer than all else that is done with it at each call."""
_WIDENING = ((64, 1.0), (56, 1.5), (48, 2.0))
"""Networks of IPv6 that one caller may have all of, from the one whose addresses a host chooses itself to the one of a
whole site (RFC 6177); and how many times as much as one caller each of them may have."""


def address_in(text: str) -> Address | None:
    """None where it is none; one of IPv4 that is wrapped in one of IPv6 counts as itself."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if found.version == 6 else found


@dataclass(frozen=True, slots=True)
class Source:
    """A network that counts as one caller."""

    name: str
    times: float = 1.0
    """How many times as much as one caller it may have, since there may be several in it."""


@lru_cache(_REMEMBERED)
def sources_of(address: str) -> tuple[Source, ...]:
    """What stands for whoever calls from an address, the narrowest first: the address, or networks of an IPv6 one."""
    found = address_in(address)
    if found is None:
        return (Source(address),)
    if found.version == 4:
        return (Source(str(found)),)
    return tuple(Source(str(_network(found, bits)), times) for bits, times in _WIDENING)


def source_of(address: str) -> str:
    """The narrowest of what stands for whoever calls from an address."""
    return sources_of(address)[0].name


def _network(address: IPv6Address, bits: int) -> IPv6Network:
    rest = 128 - bits
    return IPv6Network((int(address) >> rest << rest, bits))


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine and no other; a name other than localhost may stand for anything."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
