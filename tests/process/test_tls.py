"""TLS and mutual TLS, with certificates that are replaced while the server runs."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import structlog
from cryptography import x509
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from backroom_client import AsyncBackroom, Backroom, Tls
from server.process.certificates import Certificates, CertificatesUnreadable
from server.process.edge import Edge
from storage.database import Database
from tests.contract.probes import checked
from tests.fixtures.processes import serving
from tests.fixtures.servers import Running, keep_in, running
from tests.process.papers import Files, Paper, authority, files_in, issued

READINESS = HealthCheckRequest(service="readiness")
LOCAL = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))


@dataclass
class Encrypted:
    """A server with a certificate."""

    server: Running
    files: Files
    ca: Paper
    paper: Paper
    told: list[dict[str, Any]]
    """The log lines about its certificates."""

    def channel(self, ca: Paper | None = None, caller: Paper | None = None) -> grpc.aio.Channel:
        """A new connection, for a caller that trusts this authority."""
        key, chain = (caller.key_pem, caller.pem) if caller else (None, None)
        credentials = grpc.ssl_channel_credentials((ca or self.ca).pem, key, chain)
        return grpc.aio.secure_channel(self.server.address, credentials, LOCAL)

    async def answer(self, ca: Paper | None = None, caller: Paper | None = None) -> str:
        async with self.channel(ca, caller) as channel:
            return await checked(channel, "readiness")

    async def serial(self, port: int | None = None) -> int:
        """The serial number of the certificate that a new connection gets."""
        context = ssl.create_default_context(cadata=self.ca.pem.decode())
        context.set_alpn_protocols(["h2", "http/1.1"])
        _, writer = await asyncio.open_connection("127.0.0.1", port or self.server.server.grpc_port, ssl=context)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return x509.load_der_x509_certificate(shown).serial_number


@asynccontextmanager
async def encrypted(database: Database, folder: Path, *, clients: Paper | None = None) -> AsyncIterator[Encrypted]:
    """With an authority for `clients`, callers need a certificate from it."""
    ca, files = authority(), files_in(folder)
    paper = issued(ca)
    files.hold(paper)
    if clients:
        files.client_ca.write_bytes(clients.pem)
    told: list[dict[str, Any]] = []
    logger = structlog.wrap_logger(
        None, processors=[keep_in(told)], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    client_ca = files.client_ca if clients else None
    own = Certificates(files.certificate, files.key, logger, client_ca=client_ca)
    edge = Edge(own, Certificates(files.certificate, files.key, logger))
    async with running(database, edge=edge) as server:
        yield Encrypted(server, files, ca, paper, told)


async def test_a_caller_that_trusts_the_authority_is_answered(database: Database, tmp_path: Path) -> None:
    """Callers that trust another, or speak plain text, are not."""
    async with encrypted(database, tmp_path) as opened:
        assert await opened.answer() == "SERVING"
        assert await opened.answer(authority("another")) == "UNAVAILABLE"
        async with grpc.aio.insecure_channel(opened.server.address, LOCAL) as plain:
            assert await checked(plain, "readiness") == "UNAVAILABLE"


async def test_an_old_protocol_is_refused(database: Database, tmp_path: Path) -> None:
    """TLS 1.2 is the oldest on both sides, and gRPC speaks only HTTP/2."""
    async with encrypted(database, tmp_path) as opened:
        old = ssl.create_default_context(cadata=opened.ca.pem.decode())
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        for port in (opened.server.server.grpc_port, opened.server.server.http_port):
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                await asyncio.open_connection("127.0.0.1", port, ssl=old)
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = ssl.create_default_context(cadata=opened.ca.pem.decode())
                context.set_alpn_protocols(["h2", "http/1.1"])
                context.minimum_version = context.maximum_version = version
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
                writer.close()


@pytest.mark.slow
async def test_a_weak_cipher_suite_is_refused(database_url: str, tmp_path: Path) -> None:
    """Of TLS 1.2, CBC with a separate MAC, and key exchange without forward secrecy; on both sides of a server."""
    ca, files = authority(), files_in(tmp_path)
    files.hold(issued(ca))
    given: dict[str, Any] = {"BACKROOM_TLS_CERTIFICATE": str(files.certificate), "BACKROOM_TLS_KEY": str(files.key)}
    async with serving(database_url, BACKROOM_HTTP_TLS="true", **given) as server:
        for port in (server.grpc_port, server.http_port):
            for suites, taken in (("ECDHE-ECDSA-AES128-SHA", False), ("ECDHE-ECDSA-AES128-GCM-SHA256", True)):
                context = ssl.create_default_context(cadata=ca.pem.decode())
                context.set_alpn_protocols(["h2", "http/1.1"])
                context.set_ciphers(suites)
                context.maximum_version = ssl.TLSVersion.TLSv1_2
                assert await connects(port, context) is taken


async def connects(port: int, context: ssl.SSLContext) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    except (ssl.SSLError, ConnectionResetError):
        return False
    writer.close()
    return True


async def test_with_a_client_authority_a_caller_needs_its_certificate(database: Database, tmp_path: Path) -> None:
    """A certificate of another authority is refused."""
    clients = authority("clients")
    async with encrypted(database, tmp_path, clients=clients) as opened:
        assert await opened.answer(caller=issued(clients, name="shop")) == "SERVING"
        assert await opened.answer() == "UNAVAILABLE"
        assert await opened.answer(caller=issued(authority("another"), name="shop")) == "UNAVAILABLE"
        assert await opened.answer(caller=opened.paper) == "UNAVAILABLE"


async def test_a_new_certificate_is_used_at_once_and_old_connections_continue(
    database: Database, tmp_path: Path
) -> None:
    """On both sides, and again with the next one."""
    async with encrypted(database, tmp_path) as opened, opened.channel() as standing:
        assert await checked(standing, "liveness") == "SERVING"
        for _ in range(2):
            renewed = issued(opened.ca)
            opened.files.hold(renewed)
            for port in (opened.server.server.grpc_port, opened.server.server.http_port):
                assert await opened.serial(port) == renewed.serial
            assert await checked(standing, "liveness") == "SERVING"
            assert await opened.answer() == "SERVING"


async def test_a_new_client_authority_applies_to_new_connections(database: Database, tmp_path: Path) -> None:
    """Certificates of the old one are no longer accepted."""
    before, after = authority("before"), authority("after")
    async with encrypted(database, tmp_path, clients=before) as opened:
        old, new = issued(before, name="shop"), issued(after, name="shop")
        assert (await opened.answer(caller=old), await opened.answer(caller=new)) == ("SERVING", "UNAVAILABLE")
        opened.files.client_ca.write_bytes(after.pem)
        assert (await opened.answer(caller=old), await opened.answer(caller=new)) == ("UNAVAILABLE", "SERVING")


@pytest.mark.parametrize("harm", ["half", "other key", "empty", "text", "gone"])
async def test_broken_new_files_keep_the_old_certificate(database: Database, tmp_path: Path, harm: str) -> None:
    """The log says so once for each side, without their content; once they are fixed, they are used."""
    async with encrypted(database, tmp_path) as opened:
        renewed = issued(opened.ca)
        written = {"half": renewed.pem[:200], "other key": renewed.pem, "empty": b"", "text": b"canary-5e1f0c"}
        if harm == "gone":
            opened.files.certificate.unlink()
        else:
            opened.files.certificate.write_bytes(written[harm])
        for _ in range(3):
            assert await opened.serial() == opened.paper.serial
            assert await opened.serial(opened.server.server.http_port) == opened.paper.serial
        assert [line["level"] for line in opened.told] == ["warning"] * 2
        assert "canary" not in repr(opened.told)
        opened.files.hold(renewed)
        assert await opened.serial() == renewed.serial


@pytest.mark.parametrize("missing", ["certificate", "key", "client_ca"])
def test_a_server_does_not_start_without_its_files(tmp_path: Path, missing: str) -> None:
    """The error names the file."""
    files = files_in(tmp_path)
    files.hold(issued(authority()))
    files.client_ca.write_bytes(authority().pem)
    path: Path = getattr(files, missing)
    for content in (None, b"not PEM"):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(CertificatesUnreadable, match="pem"):
            Certificates(files.certificate, files.key, structlog.get_logger(), client_ca=files.client_ca)


async def test_the_clients_call_a_server_with_a_certificate(database: Database, tmp_path: Path) -> None:
    """Both of them, with client certificates, and by another name than the certificate's."""
    clients = authority("clients")
    async with encrypted(database, tmp_path, clients=clients) as opened:
        caller = issued(clients, name="shop")
        tls = Tls(opened.ca.pem, caller.pem, caller.key_pem, server_name="localhost")
        address = opened.server.address

        def ask() -> int:
            with Backroom(address, tls=tls) as backroom:
                return backroom.health.Check(READINESS, timeout=60).status

        assert await asyncio.to_thread(ask) == HealthCheckResponse.SERVING
        async with AsyncBackroom(address, tls=tls) as backroom:
            answer = await backroom.health.Check(READINESS, timeout=60)
        assert answer.status == HealthCheckResponse.SERVING
        assert caller.key_pem.decode() not in repr(tls)


async def test_the_http_side_answers_over_tls(database: Database, tmp_path: Path) -> None:
    """With the same certificate; a caller needs none, and plain text is not answered."""
    async with encrypted(database, tmp_path, clients=authority("clients")) as opened:
        port = opened.server.server.http_port
        context = ssl.create_default_context(cadata=opened.ca.pem.decode())
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            assert (await client.get(f"https://127.0.0.1:{port}/readyz")).json() == {"status": "ready"}
            with pytest.raises(httpx.TransportError):
                await client.get(f"http://127.0.0.1:{port}/readyz")
