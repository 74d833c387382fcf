"""What a start prints, for each way in which a server may be set up."""

from pathlib import Path

import pytest

from server.cli.welcome import print_welcome
from server.settings import settings_of


def printed(capsys: pytest.CaptureFixture[str], folder: Path, **given: str) -> str:
    """What is printed for a server of these settings, on the ports 1 and 2."""
    (folder / "admin.json").write_text("{}")
    print_welcome(settings_of({"BACKROOM_DATA_DIR": str(folder), **given}), (1, 2), made_admin=False)
    return capsys.readouterr().out


def test_in_production_only_the_addresses_are_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Nobody pastes calls from there."""
    said = printed(capsys, tmp_path, BACKROOM_ENVIRONMENT="production")
    assert said.startswith("Backroom serves gRPC on 127.0.0.1:1 and HTTP on 127.0.0.1:2")
    assert said.count("\n") == 1


def test_a_server_on_all_addresses_is_called_on_this_machine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """By IPv4 or IPv6, as it listens."""
    for listening, called in (("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1")):
        said = printed(capsys, tmp_path, BACKROOM_GRPC_ADDRESS=listening)
        assert f"http://{called}/backroom.$method" in said
        assert f"grpcurl -plaintext -d @ {called} " in said


def test_a_caller_that_needs_a_certificate_is_told_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With the files that the settings name, or with a name to put one's own; a blank in a path is quoted."""
    tls = {name: f"/tls/{name.lower()}.pem" for name in ("CERTIFICATE", "KEY", "CLIENT_CA")}
    given = {f"BACKROOM_TLS_{name}": path for name, path in tls.items()}
    said = printed(capsys, tmp_path, **given)
    assert "--cacert /tls/certificate.pem --cert YOUR-CERTIFICATE.pem --key YOUR-KEY.pem" in said
    caller = {"BACKROOM_TLS_CA": "/my tls/ca.pem", "BACKROOM_TLS_SERVER_NAME": "backroom.internal"}
    caller |= {"BACKROOM_TLS_CALLER_CERTIFICATE": "/c.pem", "BACKROOM_TLS_CALLER_KEY": "/k.pem"}
    said = printed(capsys, tmp_path, **given, **caller)
    assert "-cacert '/my tls/ca.pem' -servername backroom.internal -cert /c.pem -key /k.pem" in said


def test_a_database_of_ones_own_has_the_admin_whom_one_makes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What makes one is printed, and the calls sign in by what is typed."""
    said = printed(capsys, tmp_path, DATABASE_URL="postgresql://u@h/db")
    assert "backroom admin create-user you@example.com --role admin" in said
    assert "admin.json" not in said
    assert """Login -d '{"email": "you@example.com", "password": "..."}'""" in said


def test_only_calls_that_are_served_are_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without commerce no products; without identity nobody signs in."""
    assert "ListProducts" not in printed(capsys, tmp_path, BACKROOM_MODULES="identity")
    assert "Login" not in printed(capsys, tmp_path, BACKROOM_MODULES="commerce")


def test_without_reflection_a_tool_is_given_the_contract(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It is said that, and how."""
    assert "Reflection is off: " in printed(capsys, tmp_path, BACKROOM_REFLECTION="false")
