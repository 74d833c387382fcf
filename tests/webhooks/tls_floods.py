"""A receiver whose TLS 1.3 sends messages forever without a byte for HTTP: session tickets, or key updates."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from re import search
from struct import pack

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests.process.papers import Paper

_HANDSHAKE = 22
_TICKET = b"\x04" + (14).to_bytes(3) + pack(">IIB", 7200, 1, 0) + b"\x00\x01t" + b"\x00\x00"
"""NewSessionTicket (RFC 8446, 4.6.1), the shortest."""
_KEY_UPDATE = b"\x18\x00\x00\x01\x00"
"""The same, 4.6.3: the next record is under another key."""
MAX_BYTES = 50_000_000


def tickets(connection: socket.socket, paper: Paper, folder: Path) -> int:
    """Accepts a request on a connection, and responds with tickets; returns how many bytes of them were sent."""
    writer = _Writer(_greeted(connection, paper, folder))
    return _sent(connection, (writer.record(_TICKET * 800) for _ in iter(int, 1)))


def new_keys(connection: socket.socket, paper: Paper, folder: Path) -> int:
    """The same, with key updates."""
    writer = _Writer(_greeted(connection, paper, folder))
    return _sent(connection, (writer.changed() for _ in iter(int, 1)))


def _sent(connection: socket.socket, records: Iterator[bytes]) -> int:
    sent = 0
    try:
        while sent < MAX_BYTES:
            record = next(records)
            connection.sendall(record)
            sent += len(record)
    except OSError:
        pass  # the connection was closed
    return sent


def _greeted(connection: socket.socket, paper: Paper, folder: Path) -> bytes:
    """The server's traffic secret of a connection on which a request has been read."""
    for name, content in (("chain.pem", paper.pem), ("key.pem", paper.key_pem)):
        (folder / name).write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    secrets = folder / "secrets"
    context.keylog_filename = str(secrets)
    heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(heard, said, server_side=True)
    for step in (tls.do_handshake, tls.read):
        while True:
            try:
                step()
            except ssl.SSLWantReadError:
                connection.sendall(said.read())
                heard.write(connection.recv(65_536))
            else:
                break
    connection.sendall(said.read())
    found = search(r"SERVER_TRAFFIC_SECRET_0 \S+ (\S+)", secrets.read_text())
    assert found is not None
    return bytes.fromhex(found[1])


class _Writer:
    """Writes the server's records under TLS_AES_256_GCM_SHA384, which OpenSSL prefers."""

    def __init__(self, secret: bytes) -> None:
        self._take(secret)

    def record(self, messages: bytes) -> bytes:
        nonce = bytes(each ^ place for each, place in zip(self._iv, self._number.to_bytes(12), strict=True))
        self._number += 1
        content = messages + bytes([_HANDSHAKE])
        head = b"\x17\x03\x03" + pack(">H", len(content) + 16)
        return head + self._cipher.encrypt(nonce, content, head)

    def changed(self) -> bytes:
        record = self.record(_KEY_UPDATE)
        self._take(_expanded(self._secret, b"traffic upd", 48))
        return record

    def _take(self, secret: bytes) -> None:
        self._secret = secret
        self._cipher = AESGCM(_expanded(secret, b"key", 32))
        self._iv = _expanded(secret, b"iv", 12)
        self._number = 0


def _expanded(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446, 7.1)."""
    full = b"tls13 " + label
    return HKDFExpand(hashes.SHA384(), size, pack(">HB", size, len(full)) + full + b"\x00").derive(secret)
