"""Network addresses, as callers have them and settings name them."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REMEMBERED = 1024
"""Reading an address takes longer than all else that is done with it at each call."""
_HOST_BITS = 64
"""An IPv6 host chooses that much of its address itself."""


def address_in(text: str) -> Address | None:
    """None where it is none; one of IPv4 that is wrapped in one of IPv6 counts as itself."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if found.version == 6 else found


@lru_cache(_REMEMBERED)
def source_of(address: str) -> str:
    """What stands for whoever calls from an address: the address, or the network of an IPv6 one."""
    found = address_in(address)
    if found is None:
        return address
    if found.version == 4:
        return str(found)
    return str(IPv6Network((int(found) >> _HOST_BITS << _HOST_BITS, _HOST_BITS)))


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine and no other; a name other than localhost may stand for anything."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
