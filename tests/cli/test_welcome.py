"""What a start prints, for each way in which a server may be set up."""

from pathlib import Path

import pytest

from server.cli.welcome import print_welcome
from server.settings import settings_of


def printed(capsys: pytest.CaptureFixture[str], folder: Path, **given: str) -> str:
    """The output for a server with these settings, on the ports 1 and 2."""
    (folder / "admin.json").write_text("{}")
    print_welcome(settings_of({"BACKROOM_DATA_DIR": str(folder), **given}), (1, 2), made_admin=False)
    return capsys.readouterr().out


def test_in_production_only_the_addresses_are_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Operators paste no calls from there."""
    said = printed(capsys, tmp_path, BACKROOM_ENVIRONMENT="production")
    assert said.startswith("Backroom serves gRPC on 127.0.0.1:1 and HTTP on 127.0.0.1:2")
    assert said.count("\n") == 1


def test_a_server_on_all_addresses_is_called_at_the_loopback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """By IPv4 or IPv6, as it listens."""
    for listening, called in (("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1")):
        said = printed(capsys, tmp_path, BACKROOM_GRPC_ADDRESS=listening)
        assert f"http://{called}/backroom.$method" in said
        assert f"grpcurl -plaintext -d @ {called} " in said


def test_calls_include_the_callers_certificate_if_needed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The files that the settings name, or a placeholder; a path with a space is quoted."""
    tls = {name: f"/tls/{name.lower()}.pem" for name in ("CERTIFICATE", "KEY", "CLIENT_CA")}
    given = {f"BACKROOM_TLS_{name}": path for name, path in tls.items()}
    said = printed(capsys, tmp_path, **given)
    assert "--cacert /tls/certificate.pem --cert YOUR-CERTIFICATE.pem --key YOUR-KEY.pem" in said
    caller = {"BACKROOM_TLS_CA": "/my tls/ca.pem", "BACKROOM_TLS_SERVER_NAME": "backroom.internal"}
    caller |= {"BACKROOM_TLS_CALLER_CERTIFICATE": "/c.pem", "BACKROOM_TLS_CALLER_KEY": "/k.pem"}
    said = printed(capsys, tmp_path, **given, **caller)
    assert "-cacert '/my tls/ca.pem' -servername backroom.internal -cert /c.pem -key /k.pem" in said


def test_for_an_external_database_the_command_for_an_admin_is_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The calls then sign in with a typed password."""
    said = printed(capsys, tmp_path, DATABASE_URL="postgresql://u@h/db")
    assert "backroom admin create-user you@example.com --role admin" in said
    assert "admin.json" not in said
    assert """Login -d '{"email": "you@example.com", "password": "..."}'""" in said


def test_only_calls_that_are_served_are_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without commerce no products; without identity no sign-in."""
    assert "ListProducts" not in printed(capsys, tmp_path, BACKROOM_MODULES="identity")
    assert "Login" not in printed(capsys, tmp_path, BACKROOM_MODULES="commerce")


def test_without_reflection_the_calls_name_the_contract(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With how to build it."""
    assert "Reflection is off: " in printed(capsys, tmp_path, BACKROOM_REFLECTION="false")
