"""The commands call a server that has a certificate."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from server import settings
from server.cli.service_key import service_key
from server.cli.target_server import target_server, tls_of
from tests.fixtures.keys import MASTER_KEY
from tests.fixtures.processes import serving
from tests.process.commands import backroom_here
from tests.process.papers import authority, files_in, issued


@pytest.mark.slow
async def test_the_doctor_and_the_callers_reach_a_server_with_mutual_tls(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At their address with the name in the certificate; without a client certificate, they are refused."""
    ca, clients, files = authority(), authority("clients"), files_in(tmp_path)
    files.hold(issued(ca, name="backroom.internal", address="10.0.0.7"))
    files.client_ca.write_bytes(clients.pem)
    caller = files_in(tmp_path / "caller")
    caller.certificate.parent.mkdir()
    caller.hold(issued(clients, name="shop"))
    (tmp_path / "ca.pem").write_bytes(ca.pem)
    server_side: dict[str, Any] = {
        "BACKROOM_TLS_CERTIFICATE": str(files.certificate),
        "BACKROOM_TLS_KEY": str(files.key),
        "BACKROOM_TLS_CLIENT_CA": str(files.client_ca),
        "BACKROOM_HTTP_TLS": "true",
    }
    caller_side = {"BACKROOM_TLS_CA": str(tmp_path / "ca.pem"), "BACKROOM_TLS_SERVER_NAME": "backroom.internal"}
    shown = {"BACKROOM_TLS_CALLER_CERTIFICATE": str(caller.certificate), "BACKROOM_TLS_CALLER_KEY": str(caller.key)}
    async with serving(database_url, **server_side) as server:
        given = {
            "DATABASE_URL": database_url,
            "BACKROOM_MASTER_KEY": MASTER_KEY,
            "BACKROOM_GRPC_ADDRESS": server.address,
            "BACKROOM_HTTP_ADDRESS": f"127.0.0.1:{server.http_port}",
            "BACKROOM_DATA_DIR": str(tmp_path),
            **server_side,
            **caller_side,
        }
        well = await asyncio.to_thread(backroom_here, capsys, "doctor", COLUMNS="200", **given, **shown)
        assert well.code == 0, well.out
        assert "SERVING" in well.out
        assert "200 OK" in well.out
        ill = await asyncio.to_thread(backroom_here, capsys, "doctor", COLUMNS="200", **given)
        assert "nothing answers" in ill.out
        for name, value in {**given, **shown}.items():
            monkeypatch.setenv(name, value)
        configured = settings.read()
        async with target_server(configured) as address:
            assert address == server.address
            assert (await service_key(configured, address, tls_of(configured))).startswith("brk_")


def test_a_missing_caller_certificate_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line."""
    finished = backroom_here(capsys, "demo", BACKROOM_TLS_CA="/nowhere/ca.pem")
    assert finished.err == "backroom: BACKROOM_TLS_CA: /nowhere/ca.pem: No such file or directory\n"
