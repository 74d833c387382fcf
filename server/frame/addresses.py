"""Network addresses, as callers have them and settings name them; which of them are private, and which are public."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOCAL_ISSUER = "http://localhost"
"""Where nobody says which environment this is: one machine's own, to try things on."""

_REMEMBERED = 1024
"""Reading an address takes longer than all else that is done with it at each call."""
_WIDENING = ((64, 1.0), (56, 1.5), (48, 2.0))
"""Networks of IPv6 that one caller may have all of, from the one whose addresses a host chooses itself to the one of a
whole site (RFC 6177); and how many times as much as one caller each of them may have."""
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
_PRIVATE = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)
"""Private networks, which outsiders cannot call from (RFC 1918, 6598, 3927, 4193, 4291)."""
_WIDEST_PUBLIC = {4: 8, 6: 19}
"""The shortest prefixes that one owner has, by the version: whatever is wider has others in it."""
_WRAPPING = (
    # The network of IPv6, and how many bits precede the IPv4 address in it: mapped (RFC 4291), compatible
    # (the same), NAT64 (RFC 6052), NAT64 of a site's own (RFC 8215), and 6to4 (RFC 3056).
    (_MAPPED, 96),
    (IPv6Network("::/96"), 96),
    (_NAT64, 96),
    (IPv6Network("64:ff9b:1::/48"), 96),
    (IPv6Network("2002::/16"), 16),
)


def address_in(text: str) -> Address | None:
    """None where it is none; one of IPv4 that is wrapped in one of IPv6 counts as itself."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if found.version == 6 else found


@lru_cache(_REMEMBERED)
def is_within(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether a caller's address is one of these networks'; one that cannot be read is not."""
    found = address_in(address)
    return found is not None and any(found in network for network in networks)


@dataclass(frozen=True, slots=True)
class CallerNetwork:
    """A network that counts as one caller."""

    name: str
    times: float = 1.0
    """How many times as much as one caller it may have, since there may be several in it."""


@lru_cache(_REMEMBERED)
def caller_networks(address: str) -> tuple[CallerNetwork, ...]:
    """What identifies the caller at an address, the narrowest first: the address, or networks of an IPv6 one."""
    found = address_in(address)
    if found is None:
        return (CallerNetwork(address),)
    if found.version == 4:
        return (CallerNetwork(str(found)),)
    return tuple(CallerNetwork(str(_network(found, bits)), times) for bits, times in _WIDENING)


def caller_network(address: str) -> str:
    """The narrowest network that identifies the caller at an address."""
    return caller_networks(address)[0].name


def _network(address: IPv6Address, bits: int) -> IPv6Network:
    rest = 128 - bits
    return IPv6Network((int(address) >> rest << rest, bits))


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine and no other; a name other than localhost may resolve to anything."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def literal(host: str) -> Address | None:
    """The address that a host is; None where it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def read_networks(text: str) -> tuple[Network, ...]:
    """Networks such as 10.0.0.0/8 and fd00::/8, with commas between; raises ValueError."""
    return tuple(_read_network(part.strip()) for part in text.split(",") if part.strip())


def _read_network(text: str) -> Network:
    try:
        found = ip_network(text)
    except ValueError:
        raise ValueError("must be networks such as 10.0.0.0/8 and fd00::/8, with commas between") from None
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        # Addresses are compared with networks as the IPv4 addresses that they wrap.
        return IPv4Network((int(found.network_address) & 0xFFFFFFFF, found.prefixlen - _MAPPED.prefixlen))
    return found


def is_global(address: Address) -> bool:
    """Whether an address is one of the public internet: neither private, nor this machine's, nor a group's."""
    if isinstance(address, IPv6Address):
        return address in _UNICAST and address not in _DOCUMENTS and address.is_global
    if any(address in network for network in _INWARD):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one wraps, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def covers_the_public(network: Network) -> bool:
    """Whether a network is so wide that outsiders are in it, also by the IPv4 addresses that it wraps."""
    if isinstance(network, IPv6Network):
        wrapped = (_wrapped(network, wrapping, bits) for wrapping, bits in _WRAPPING)
        if any(each is not None and covers_the_public(each) for each in wrapped):
            return True
    private = any(network.version == each.version and network.subnet_of(each) for each in _PRIVATE)  # type: ignore[arg-type]  # of one version
    return not private and network.prefixlen < _WIDEST_PUBLIC[network.version]


def _wrapped(network: IPv6Network, wrapping: IPv6Network, bits: int) -> IPv4Network | None:
    """The IPv4 addresses that a network wraps in this way."""
    if not network.overlaps(wrapping):
        return None
    prefix = min(32, max(0, network.prefixlen - bits)) if network.subnet_of(wrapping) else 0
    address = int(network.network_address) >> (128 - bits - 32) & 0xFFFFFFFF
    return IPv4Network((address >> 32 - prefix << 32 - prefix, prefix))
