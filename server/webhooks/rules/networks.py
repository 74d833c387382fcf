"""Which addresses requests may go to."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from server.frame.addresses import Address, Network

_UNICAST = IPv6Network("2000::/3")
_DOCUMENTS = IPv6Network("3fff::/20")
"""RFC 9637's, which the standard library does not know everywhere."""
_NAT64 = IPv6Network("64:ff9b::/96")
_MAPPED = IPv6Network("::ffff:0:0/96")
_INWARD = (
    # IETF's own protocols, which the standard library knows in part; some cloud's metadata are among them.
    IPv4Network("192.0.0.0/24"),
    # 6to4's anycast relays, which are no more: whoever announces that network is sent what was meant for others.
    IPv4Network("192.88.99.0/24"),
    # The host under a virtual machine of Azure's.
    IPv4Network("168.63.129.16/32"),
)
"""Addresses that count as global, and yet are never those of somebody outside."""


def read_networks(text: str) -> tuple[Network, ...]:
    """Networks such as 10.0.0.0/8 and fd00::/8, with commas between; raises ValueError."""
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


def literal(host: str) -> Address | None:
    """The address that a host is; None where it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def permitted(address: Address, allowed: Sequence[Network], *, plain: bool) -> bool:
    """Whether a request may go to an address, `plain` where it is not encrypted.

    It may where the operator allows the address's network; and encrypted, where the address is a global one: neither
    private, nor this machine's, nor a group's. An IPv4 address that is wrapped in an IPv6 one counts as itself.
    """
    real = _unwrapped(address)
    if any(real in network or address in network for network in allowed):
        return True
    return not plain and _is_global(real)


def _is_global(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        return address in _UNICAST and address not in _DOCUMENTS and address.is_global
    if any(address in network for network in _INWARD):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _network(text: str) -> Network:
    try:
        found = ip_network(text)
    except ValueError:
        raise ValueError("must be networks such as 10.0.0.0/8 and fd00::/8, with commas between") from None
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        # Addresses are held against networks as those of IPv4 that they stand for.
        return IPv4Network((int(found.network_address) & 0xFFFFFFFF, found.prefixlen - _MAPPED.prefixlen))
    return found
