"""Where a call comes from, according to trusted proxies."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.frame.interceptors.forwarded import real_address

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]

PLAYED = [
    ("198.51.100.1", [], "198.51.100.1"),
    ("198.51.100.1", ["203.0.113.7"], "198.51.100.1"),
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
    ("10.0.0.1", ["192.0.2.66", "203.0.113.7"], "203.0.113.7"),
    ("10.0.0.1", ["192.0.2.66", "203.0.113.7", "10.0.0.2"], "203.0.113.7"),
    ("10.0.0.1", ["10.0.0.3", "10.0.0.2"], "10.0.0.3"),
    ("10.0.0.1", ["203.0.113.7", "unknown"], "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.7", "", "10.0.0.2"], "10.0.0.2"),
    ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
    ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
    ("10.0.0.1", ["2001:db8::7"], "2001:db8::7"),
    ("::ffff:10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
    ("fd00::1", ["203.0.113.7"], "203.0.113.7"),
    ("", ["203.0.113.7"], ""),
]


@pytest.mark.parametrize(("peer", "hops", "real"), PLAYED)
def test_the_rightmost_address_that_is_no_trusted_proxys_counts(peer: str, hops: list[str], real: str) -> None:
    """Addresses to the left of it may be forged."""
    assert real_address(peer, hops, TRUSTED) == real


addresses = st.ip_addresses().map(str)


@given(addresses, st.lists(st.one_of(addresses, st.text(max_size=40))))
def test_forwarding_headers_of_an_untrusted_caller_are_ignored(peer: str, hops: list[str]) -> None:
    """Its address is that of the connection."""
    assert ip_address(real_address(peer, hops, [])) == _plain(peer)


@given(st.lists(st.one_of(addresses, st.text(max_size=40))))
def test_the_result_is_always_an_address(hops: list[str]) -> None:
    """Whatever the header holds."""
    ip_address(real_address("10.0.0.1", hops, TRUSTED))


@given(addresses, st.lists(st.text(max_size=40), max_size=3))
def test_headers_that_a_caller_adds_change_nothing(real: str, made_up: list[str]) -> None:
    """A proxy appends the caller's address on the right of whatever the caller sent."""
    assert real_address("10.0.0.1", [*made_up, real], TRUSTED[1:]) == "10.0.0.1"
    if not any(ip_address(real) in network for network in TRUSTED):
        assert ip_address(real_address("10.0.0.1", [*made_up, real], TRUSTED)) == _plain(real)


def _plain(text: str) -> object:
    found = ip_address(text)
    return (found.ipv4_mapped or found) if found.version == 6 else found
