"""Addresses that requests may not be sent to: the operator's own network, by whatever name, form or trick."""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from server.frame.addresses import Address, Network, read_networks
from server.webhooks.errors import UrlForbidden
from server.webhooks.network import Resolver
from server.webhooks.rules.urls import check_url, permitted, target_of
from server.webhooks.sender import Sender
from tests.webhooks.outgoing import LOOPBACK, answer, subscriber

INNER_4 = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4"),
    *("240.0.0.0/4", "168.63.129.16/32", "192.88.99.0/24"),
]
INNER_6 = [
    *(
        "::/128",
        "::1/128",
        "::/96",
        "100::/64",
        "64:ff9b:1::/48",
        "2001::/32",
        "2001:db8::/32",
        "3fff::/20",
        "fc00::/7",
    ),
    *("fe80::/10", "fec0::/10", "ff00::/8", "4000::/3"),
]
"""What is not of the public internet, by https://www.iana.org/assignments/iana-ipv4-special-registry and its like.

Beside them a cloud's host that has a public address.
"""
CLOSING = answer(200, connection="close")
OUTER = ["1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.0", "192.0.1.0", "2606:4700::1111", "2a00:1450::1"]


def addresses(networks: Sequence[str]) -> st.SearchStrategy[Address]:
    return st.sampled_from(networks).flatmap(lambda network: st.ip_addresses(network=network))


def wrapped(address: IPv4Address) -> list[Address]:
    """An IPv4 address in each form in which a machine may send to it."""
    mapped = IPv6Address(f"::ffff:{address}")
    to_4 = IPv6Address(0x2002 << 112 | int(address) << 80 | 1)
    nat_64 = IPv6Address(int(IPv6Address("64:ff9b::")) | int(address))
    return [address, mapped, to_4, nat_64]


@given(address=addresses(INNER_4))
def test_private_addresses_are_refused_in_any_form(address: IPv4Address) -> None:
    """Mapped, by 6to4, and behind a NAT64."""
    assert not any(permitted(each, (), plain=plain) for each in wrapped(address) for plain in (True, False))


@given(address=addresses(INNER_6))
def test_private_ipv6_addresses_are_refused(address: IPv6Address) -> None:
    """Including deprecated and reserved ones."""
    assert not permitted(address, (), plain=False)


@pytest.mark.parametrize("text", OUTER)
def test_public_addresses_are_allowed_but_not_in_plain_text(text: str) -> None:
    """In any form."""
    address = ip_address(text)
    for each in wrapped(address) if isinstance(address, IPv4Address) else [address]:
        assert permitted(each, (), plain=False), each
        assert not permitted(each, (), plain=True), each


def test_the_operator_can_allow_networks() -> None:
    """Only those, in plain text too."""
    allowed = read_networks("10.1.0.0/16, fd00::/8,")
    for text, expected in {"10.1.2.3": True, "::ffff:10.1.2.3": True, "fd12::1": True, "10.2.0.0": False}.items():
        assert [permitted(ip_address(text), allowed, plain=plain) for plain in (True, False)] == [expected] * 2, text


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "inner", "10.0.0.0/8;fd00::/8"])
def test_invalid_networks_are_refused(text: str) -> None:
    """An address with bits beyond the network's length is a mistake."""
    with pytest.raises(ValueError, match="must be networks"):
        read_networks(text)


@pytest.mark.parametrize(
    "url",
    [
        *("", "https://", "https:///a", "https://:443/", "example.com", "//example.com", "ftp://example.com"),
        *("file:///etc/passwd", "javascript:alert(1)", "http://example.com", "http://127.0.0.1", "HTTP://example.com"),
        *("https://user@example.com", "https://user:pw@example.com", "https://@example.com", "https://a@b@c.com"),
        *("https://example.com/#a", "https://example.com#", "https://example.com:0", "https://example.com:65536"),
        *("https://example.com:-1", "https://example.com:x", "https://127.0.0.1", "https://[::1]", "https://0.0.0.0"),
        *("https://169.254.169.254/latest/meta-data", "https://[::ffff:10.0.0.1]", "https://[64:ff9b::a00:1]"),
        *("https://2130706433", "https://0x7f000001", "https://0177.0.0.1", "https://127.1", "https://127.0.0.1."),
        *("https://[::1%25lo]", "https://[fe80::1%lo]", "https://[::1", "https://::1", "https://exa mple.com"),
        *("https://example.com\\@evil.com", "https://ex\u00e4mple.com", "https://example.com/\n", "https://a..b"),
        *("https://-a.com", f"https://{'a' * 64}.com", f"https://{'a.' * 127}com", "https://%31%32%37.0.0.1"),
        *(
            "https://[v1.x]",
            "https://[v1.x]:443/",
            "https://[vf.127.0.0.1]",
            "https://[127.0.0.1]",
            "https://[localhost]",
        ),
        *("https://[::]", "https://[::127.0.0.1]", "https://[2002:7f00:1::1]", "https://[2001:0:1::1]"),
        *("https://[::ffff:7f00:1]", "https://[64:ff9b::7f00:1]", "https://[64:ff9b:1::7f00:1]", "https://192.88.99.1"),
        *("https://1.1.1.1.1", "https://example.1", "https://example.0x1"),
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    """Each is refused when an endpoint is created, and the refusal says what is wrong with the URL."""
    with pytest.raises(UrlForbidden) as raised:
        check_url(url, ())
    assert [violation.path for violation in raised.value.fields] == ["endpoint.url"]


@pytest.mark.parametrize(
    ("url", "host", "authority", "path"),
    [
        ("https://example.com", "example.com", "example.com", "/"),
        ("https://Example.COM:443/a?b=c&d", "example.com", "example.com", "/a?b=c&d"),
        ("https://example.com.:8443?x", "example.com.", "example.com.:8443", "/?x"),
        ("https://_a-b.xn--bcher-kva.example/%2e%2e/;p=1", "_a-b.xn--bcher-kva.example", None, "/%2e%2e/;p=1"),
        ("https://1.1.1.1:8443/", "1.1.1.1", "1.1.1.1:8443", "/"),
        ("https://[2606:4700::1111]/", "2606:4700::1111", "[2606:4700::1111]", "/"),
        ("https://localhost/", "localhost", "localhost", "/"),
    ],
)
def test_urls_that_are_accepted(url: str, host: str, authority: str | None, path: str) -> None:
    """The request goes to the URL as written; a name's addresses are checked when it is connected to."""
    check_url(url, ())
    target = target_of(url)
    assert (target.host, target.authority, target.path) == (host, authority or host, path)


def test_http_needs_an_allowed_network() -> None:
    """A name is then accepted; whether it resolves into the network is checked when it is connected to."""
    for url in ("http://127.0.0.1:8000", "http://receiver.internal", "https://127.0.0.1"):
        check_url(url, LOOPBACK)
    for url in ("http://1.1.1.1", "http://10.0.0.1", "https://10.0.0.1"):
        with pytest.raises(UrlForbidden):
            check_url(url, LOOPBACK)


class Names:
    """A name server that returns these answers, one after the other, the last one repeatedly."""

    def __init__(self, *said: Sequence[str]) -> None:
        self.text = [*said]
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append(host)
        return [ip_address(text) for text in (self.text.pop(0) if len(self.text) > 1 else self.text[0])]


@asynccontextmanager
async def sending(names: Names, allowed: Sequence[Network], tls: ssl.SSLContext | None = None) -> AsyncIterator[Sender]:
    sender = Sender(names, allowed, tls=tls)
    try:
        yield sender
    finally:
        await sender.close()


async def test_a_name_whose_address_changes_is_checked_again() -> None:
    """Each connection uses the address that was checked, and a later one is checked again (DNS rebinding)."""
    outer, inner = "127.0.0.2", "127.0.0.1"
    names = Names([outer], [inner])
    async with (
        subscriber(CLOSING, host=outer) as shop,
        subscriber(host=inner, port=shop.port) as secret,
        sending(names, [ip_network(f"{outer}/32")]) as sender,
    ):
        url = f"http://shop.example:{shop.port}/"
        assert (await sender.post(url, {}, b"{}")).status == 200
        assert names.asked == ["shop.example"]
        assert (await sender.post(url, {}, b"{}")).error == "address not allowed"
        assert (len(shop.heard), len(secret.heard)) == (1, 0)


async def test_one_address_that_is_not_allowed_refuses_the_name() -> None:
    """Wherever it is in the list."""
    async with subscriber(host="127.0.0.2") as shop:
        for said in (["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "::1"]):
            async with sending(Names(said), [ip_network("127.0.0.2/32")]) as sender:
                answered = await sender.post(f"http://shop.example:{shop.port}/", {}, b"{}")
                assert answered.error == "address not allowed"
        assert shop.heard == []


async def test_an_address_that_does_not_respond_is_skipped() -> None:
    """The next one is tried."""
    async with subscriber(host="127.0.0.2") as shop, sending(Names(["127.0.0.3", "127.0.0.2"]), LOOPBACK) as sender:
        assert (await sender.post(f"http://shop.example:{shop.port}/", {}, b"{}")).status == 200
        (heard,) = shop.heard
        assert heard.headers["host"] == f"shop.example:{shop.port}"


async def test_names_of_this_machine_are_refused() -> None:
    """As its own resolver knows them."""
    resolver = Resolver()
    sender = Sender(resolver, ())
    assert (await sender.post("https://localhost:1/", {}, b"{}")).error == "address not allowed"
    assert (await sender.post("https://127.0.0.1:1/", {}, b"{}")).error == "address not allowed"
    assert (await sender.post("http://localhost:1/", {}, b"{}")).error == "address not allowed"
    await sender.close()
    await resolver.close()


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would connect to whatever the name resolves to by then."""
    async with subscriber() as proxy, subscriber() as shop, sending(Names(["127.0.0.1"]), LOOPBACK) as sender:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert (await sender.post(f"http://shop.example:{shop.port}/", {}, b"{}")).status == 200
        assert (len(shop.heard), len(proxy.heard)) == (1, 0)


async def test_a_certificate_is_checked_for_the_name(tmp_path: Path) -> None:
    """Not for the address that is connected to; the Host header has the name too."""
    server, client = certified("shop.example", tmp_path)
    asked: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with subscriber(CLOSING, tls=server) as shop, sending(Names(["127.0.0.1"]), LOOPBACK, client) as sender:
        assert (await sender.post(f"https://shop.example:{shop.port}/", {}, b"{}")).status == 200
        assert shop.heard[0].headers["host"] == f"shop.example:{shop.port}"
        answered = await sender.post(f"https://other.example:{shop.port}/", {}, b"{}")
        assert (answered.error, len(shop.heard)) == ("certificate not valid", 1)
        assert asked == ["shop.example", "other.example"]


def certified(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server with a certificate for a name, and for a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(secret + certificate)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cadata=certificate.decode())
