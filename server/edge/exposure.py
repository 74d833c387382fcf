"""What strangers can reach or read, by what the settings say."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import urlsplit

from server.frame.addresses import Network, is_this_machine
from storage.url import parameters

_ENCRYPTED = {"require", "verify-ca", "verify-full"}
"""The values of sslmode with which libpq goes no further where the server has no TLS."""
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
"""Where no stranger calls from (RFC 1918, 6598, 3927, 4193, 4291)."""
_WIDEST_PUBLIC = {4: 8, 6: 19}
"""The shortest prefixes that one owner has, by the version: whatever is wider has others in it."""
_WRAPPING = (
    # The network of IPv6, and how many bits stand before the address of IPv4 in it: mapped (RFC 4291), compatible
    # (the same), NAT64 (RFC 6052), NAT64 of a site's own (RFC 8215), and 6to4 (RFC 3056).
    (IPv6Network("::ffff:0:0/96"), 96),
    (IPv6Network("::/96"), 96),
    (IPv6Network("64:ff9b::/96"), 96),
    (IPv6Network("64:ff9b:1::/48"), 96),
    (IPv6Network("2002::/16"), 16),
)


def covers_the_public(network: Network) -> bool:
    """Whether a network is so wide that strangers are in it, be it by the addresses of IPv4 that it wraps."""
    if isinstance(network, IPv6Network):
        wrapped = (_wrapped(network, wrapping, bits) for wrapping, bits in _WRAPPING)
        if any(each is not None and covers_the_public(each) for each in wrapped):
            return True
    private = any(network.version == each.version and network.subnet_of(each) for each in _PRIVATE)  # type: ignore[arg-type]  # of one version
    return not private and network.prefixlen < _WIDEST_PUBLIC[network.version]


def _wrapped(network: IPv6Network, wrapping: IPv6Network, bits: int) -> IPv4Network | None:
    """The addresses of IPv4 that a network holds by this way to wrap them."""
    if not network.overlaps(wrapping):
        return None
    prefix = min(32, max(0, network.prefixlen - bits)) if network.subnet_of(wrapping) else 0
    address = int(network.network_address) >> (128 - bits - 32) & 0xFFFFFFFF
    return IPv4Network((address >> 32 - prefix << 32 - prefix, prefix))


def is_local_url(url: str) -> bool:
    """Whether a URL names this machine, as it might on any other one."""
    return is_this_machine((urlsplit(url).hostname or "localhost").removesuffix("."))


def in_plain_text(url: str) -> str:
    """The first host that a connection to a database may lead to in plain text, across a network; empty for none.

    What the URL leaves open counts as libpq has it: by PGHOST, PGSSLMODE and their like. Where PGSERVICE
    names a service, its file is not looked into: it counts as one across a network, unless the URL itself asks for TLS.
    """
    from psycopg.pq import Conninfo  # late: as `storage.url` has it

    defaults = {each.keyword.decode(): (each.val or b"").decode() for each in Conninfo.get_defaults()}
    said = parameters(url)
    found = {**defaults, **said}
    if found.get("service"):
        # What the service's file says counts before the environment, and behind the URL.
        return "" if said.get("sslmode") in _ENCRYPTED else f"the service {found['service']}"
    if found["sslmode"] in _ENCRYPTED:
        return ""
    hosts = (found["hostaddr"] or found["host"]).split(",")
    return next((host for host in hosts if not (host[:1] in ("", "/", "@") or is_this_machine(host))), "")
