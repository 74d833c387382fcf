"""What strangers can reach or read, by what the settings say."""

from ipaddress import ip_network

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


def covers_the_public(network: Network) -> bool:
    """Whether a network is so wide that strangers are in it."""
    private = any(network.version == each.version and network.subnet_of(each) for each in _PRIVATE)  # type: ignore[arg-type]  # of one version
    return not private and network.prefixlen < _WIDEST_PUBLIC[network.version]


def in_plain_text(url: str) -> str:
    """The first host that a connection to a database may lead to in plain text, across a network; empty for none.

    What the URL leaves open counts as libpq has it: by PGHOST, PGSSLMODE and their like.
    """
    from psycopg.pq import Conninfo  # late: as `storage.url` has it

    defaults = {each.keyword.decode(): (each.val or b"").decode() for each in Conninfo.get_defaults()}
    found = {**defaults, **parameters(url)}
    if found["sslmode"] in _ENCRYPTED:
        return ""
    hosts = (found["hostaddr"] or found["host"]).split(",")
    return next((host for host in hosts if not (host[:1] in ("", "/", "@") or is_this_machine(host))), "")
