"""The environment is read once, and all its problems are reported at once."""

import os
import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import settings
from server.commerce.settings import CommerceSettings
from server.frame.settings import declared
from server.modules import MODULES, settings_class
from server.settings import Address, Settings, SettingsError
from tests.process.commands import backroom

MALFORMED = {
    "DATABASE_URL": ["mysql://u:hunter2@h/db", "nonsense", "postgresql:/h/db", "postgresql://u:hunter2@h:port/db"],
    "BACKROOM_DATABASE_POOLER": ["pgbouncer", "statement"],
    "BACKROOM_DIRECT_DATABASE_URL": ["mysql://u:hunter2@h/db", "postgresql://u:hunter2%@h/db"],
    "BACKROOM_GRPC_ADDRESS": ["50051", ":50051", "localhost:", "localhost:65536", "localhost:-1", "localhost:http"],
    "BACKROOM_HTTP_ADDRESS": ["8080", "[::1]"],
    "BACKROOM_DATABASE_CONNECT_SECONDS": ["0", "61", "soon"],
    "BACKROOM_DATABASE_ANSWER_SECONDS": ["0.5", "61", "nan"],
    "BACKROOM_METRICS_ADDRESS": ["9090"],
    "BACKROOM_METRICS_TOKEN": ["hunter2", "hunter2 hunter2 hunter2"],
    "BACKROOM_ENVIRONMENT": ["prod"],
    "BACKROOM_ISSUER": ["backroom", "https://", "https://a b", "https://a/?b", "https://a/#b", "ftp://a"],
    "BACKROOM_ALLOW_PLAINTEXT": ["https", "grpc;http", ","],
    "BACKROOM_HTTP_TLS": ["perhaps"],
    "BACKROOM_REFLECTION": ["perhaps"],
    "BACKROOM_MAX_CALLS": ["0", "100001", "many"],
    "BACKROOM_MAX_STREAMS": ["0", "100001", "many"],
    "BACKROOM_CALLS_PER_SECOND": ["-1", "nan", "inf"],
    "BACKROOM_CALLS_BURST": ["0", "1.5"],
    "BACKROOM_MODULES": ["files", "commerce;identity", ",", "Commerce"],
    "BACKROOM_HOLD_SECONDS": ["0", "2592001", "soon"],
    "BACKROOM_MAX_UNPAID_ORDERS": ["0", "1000001", "many"],
    "BACKROOM_MAX_HELD_PIECES": ["0", "many"],
    "BACKROOM_PAYMENT_PROVIDER": ["paypal"],
    "BACKROOM_SANDBOX_WEBHOOK_SECRET": ["hunter2", "whsec_", "whsec_hunter2!"],
    "BACKROOM_WEBHOOK_SOURCES": ["hunter2", '{"a":{"scheme":"standard","secrets":["hunter2"]}}'],
    "BACKROOM_WEBHOOK_ALLOWED_NETWORKS": ["localhost", "10.0.0.0/33"],
    "BACKROOM_TRUSTED_PROXIES": ["localhost", "10.0.0.0/33"],
    "BACKROOM_MAIL": ["pigeon"],
    "BACKROOM_MAIL_FROM": ["backroom", "a@b@c", "a@b\nBcc: c@d", "Shop <a@b>"],
    "BACKROOM_MAIL_LINK": ["https://example.com/", "ftp://example.com/{token}", "example.com/{token}"],
    "BACKROOM_SMTP_URL": ["mail.example.com:587", "http://u:hunter2@h", "smtp://u:hunter2@h:port", "smtp://u:hunter2@"],
    "BACKROOM_DRAIN_SECONDS": ["-1", "301", "soon", "nan", "inf"],
    "LOG_LEVEL": ["LOUD"],
    "LOG_FORMAT": ["xml"],
}
WELL_FORMED = {
    "DATABASE_URL": "postgres://u@h/db",
    "BACKROOM_DATABASE_POOLER": "Transaction",
    "BACKROOM_DIRECT_DATABASE_URL": "postgres://u@direct/db",
    "BACKROOM_DATABASE_CONNECT_SECONDS": "1.5",
    "BACKROOM_DATABASE_ANSWER_SECONDS": "8",
    "BACKROOM_SERVING_ROLE": "backroom",
    "BACKROOM_ISSUER": "https://backroom.example.com",
    "BACKROOM_MASTER_KEY": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=",
    "BACKROOM_DATA_DIR": "/somewhere",
    "BACKROOM_GRPC_ADDRESS": "[::1]:1",
    "BACKROOM_HTTP_ADDRESS": "0.0.0.0:65535",
    "BACKROOM_METRICS_ADDRESS": "127.0.0.1:9090",
    "BACKROOM_METRICS_TOKEN": "scrape-scrape-scrape",
    "BACKROOM_ENVIRONMENT": "Production",
    "BACKROOM_ALLOW_PLAINTEXT": "http, grpc",
    "BACKROOM_TLS_CERTIFICATE": "/tls/chain.pem",
    "BACKROOM_TLS_KEY": "/tls/key.pem",
    "BACKROOM_TLS_CLIENT_CA": "/tls/clients.pem",
    "BACKROOM_HTTP_TLS": "true",
    "BACKROOM_TLS_CA": "/tls/ca.pem",
    "BACKROOM_TLS_SERVER_NAME": "backroom.internal",
    "BACKROOM_TLS_CALLER_CERTIFICATE": "/tls/caller.pem",
    "BACKROOM_TLS_CALLER_KEY": "/tls/caller-key.pem",
    "BACKROOM_REFLECTION": "yes",
    "BACKROOM_MAX_CALLS": "300",
    "BACKROOM_MAX_STREAMS": "200",
    "BACKROOM_CALLS_PER_SECOND": "12.5",
    "BACKROOM_CALLS_BURST": "40",
    "BACKROOM_MODULES": "commerce , identity",
    "BACKROOM_HOLD_SECONDS": "60",
    "BACKROOM_MAX_UNPAID_ORDERS": "5",
    "BACKROOM_MAX_HELD_PIECES": "5000",
    "BACKROOM_PAYMENT_PROVIDER": "stripe",
    "BACKROOM_SANDBOX_URL": "http://localhost:8090",
    "BACKROOM_SANDBOX_KEY": "sk_x",
    "BACKROOM_SANDBOX_WEBHOOK_SECRET": "whsec_eHh4eA==",
    "BACKROOM_STRIPE_KEY": "sk_test_x",
    "BACKROOM_WEBHOOK_SOURCES": '{"hub":{"scheme":"github","secrets":["x"]}}',
    "BACKROOM_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1/32",
    "BACKROOM_FLAGS_OPEN_TO": "10.0.0.0/8",
    "BACKROOM_FLAGS_FRACTIONAL": "V2",
    "BACKROOM_FLAGS_APPROVAL": "true",
    "BACKROOM_FLAGD_ADDRESS": "127.0.0.1:8013",
    "BACKROOM_FLAGD_SYNC_ADDRESS": "[::1]:8015",
    "BACKROOM_FLAGS_CORS_ORIGINS": "https://shop.example.com , http://localhost:3000",
    "BACKROOM_OFREP_CALLS_PER_SECOND": "7.5",
    "BACKROOM_LEASE_SECONDS": "60",
    "BACKROOM_MAX_BOOKINGS_AHEAD": "5",
    "BACKROOM_ARTICLES_REVIEW": "true",
    "BACKROOM_ARTICLES_URL": "https://www.example.com/news/",
    "BACKROOM_ARTICLES_TITLE": "News",
    "BACKROOM_TRUSTED_PROXIES": "10.0.0.0/8 , fd00::/8",
    "BACKROOM_MAIL": "smtp",
    "BACKROOM_MAIL_FROM": "no-reply@example.com",
    "BACKROOM_MAIL_LINK": "https://example.com/mail?token={token}",
    "BACKROOM_SMTP_URL": "smtp://user:x@mail.example.com:587",
    "BACKROOM_AUDIT_ANCHOR_FILE": "/elsewhere/anchors",
    "BACKROOM_DRAIN_SECONDS": "2.5",
    "BACKROOM_API_KEY": "brk_x",
    "LOG_LEVEL": "debug",
    "LOG_FORMAT": "JSON",
}


@pytest.fixture(autouse=True)
def _silent_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without settings, and a folder without a .env."""
    for name in list(os.environ):
        if name.startswith("BACKROOM_") or name in settings.names():
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def problems() -> list[str]:
    with pytest.raises(SettingsError) as raised:
        settings.read()
    return str(raised.value).splitlines()


def shown(read: Settings) -> dict[str, str]:
    """Every value by its field's name."""
    own = {type(each): each for each in read.of_modules.values()}
    fields = [(own.get(kind, read), each.field) for kind in settings.declarations() for each in declared(kind)]
    return {field: str(getattr(of, field)) for of, field in fields}


def test_every_setting_has_a_default() -> None:
    """Backroom starts without any setting."""
    read = settings.read()
    assert read.embedded
    assert read.modules == MODULES
    assert (str(read.grpc_address), str(read.http_address)) == ("127.0.0.1:50051", "127.0.0.1:8080")


def test_every_setting_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each given value differs from the default, and is what is read."""
    for name, value in WELL_FORMED.items():
        monkeypatch.setenv(name, value)
    assert set(WELL_FORMED) == settings.names()
    assert shown(settings.read()) == {
        "database_url": "postgres://u@h/db",
        "database_pooler": "transaction",
        "direct_database_url": "postgres://u@direct/db",
        "database_connect_seconds": "1.5",
        "database_answer_seconds": "8.0",
        "serving_role": "backroom",
        "issuer_url": "https://backroom.example.com",
        "master_keys": str((b"x" * 32,)),
        "data_dir": "/somewhere",
        "grpc_address": "[::1]:1",
        "http_address": "0.0.0.0:65535",
        "metrics_address": "127.0.0.1:9090",
        "metrics_token": "scrape-scrape-scrape",
        "environment": "production",
        "allow_plaintext": "('http', 'grpc')",
        "tls_certificate": "/tls/chain.pem",
        "tls_key": "/tls/key.pem",
        "tls_client_ca": "/tls/clients.pem",
        "http_tls": "True",
        "tls_ca": "/tls/ca.pem",
        "tls_server_name": "backroom.internal",
        "tls_caller_certificate": "/tls/caller.pem",
        "tls_caller_key": "/tls/caller-key.pem",
        "reflection": "True",
        "max_calls": "300",
        "max_streams": "200",
        "calls_per_second": "12.5",
        "calls_burst": "40",
        "modules": "('commerce', 'identity')",
        "hold_seconds": "60.0",
        "max_unpaid_orders": "5",
        "max_held_pieces": "5000",
        "payment_provider": "stripe",
        "sandbox_url": "http://localhost:8090",
        "sandbox_key": "sk_x",
        "sandbox_webhook_secret": "whsec_eHh4eA==",
        "stripe_key": "sk_test_x",
        "webhook_sources": "(Source(name='hub', scheme='github'),)",
        "webhook_allowed_networks": "(IPv4Network('127.0.0.1/32'),)",
        "flags_open_to": "(IPv4Network('10.0.0.0/8'),)",
        "flags_fractional": "v2",
        "flags_approval": "True",
        "flagd_address": "127.0.0.1:8013",
        "flagd_sync_address": "[::1]:8015",
        "flags_cors_origins": "('https://shop.example.com', 'http://localhost:3000')",
        "ofrep_calls_per_second": "7.5",
        "lease_seconds": "60",
        "max_bookings_ahead": "5",
        "articles_review": "True",
        "articles_url": "https://www.example.com/news",
        "articles_title": "News",
        "trusted_proxies": "(IPv4Network('10.0.0.0/8'), IPv6Network('fd00::/8'))",
        "mail": "smtp",
        "mail_from": "no-reply@example.com",
        "mail_link": "https://example.com/mail?token={token}",
        "smtp_url": "SmtpServer(host='mail.example.com', port=587, tls='by STARTTLS', user='user')",
        "audit_anchor_file": "/elsewhere/anchors",
        "drain_seconds": "2.5",
        "api_key": "brk_x",
        "log_level": "DEBUG",
        "log_format": "json",
    }


def test_an_empty_value_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a variable that a deployment's template leaves empty."""
    default = shown(settings.read())
    for name in settings.names():
        monkeypatch.setenv(name, "")
    assert shown(settings.read()) == default


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in MALFORMED.items() for value in values])
def test_a_malformed_value_names_its_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """In one line, which does not repeat a password."""
    monkeypatch.setenv(name, value)
    (line,) = problems()
    assert line.startswith(f"{name}: ")
    assert "hunter2" not in line


MISTYPED = {
    "BACKROOM_GRPC_ADRESS": "there is no such setting; did you mean BACKROOM_GRPC_ADDRESS?",
    "BACKROOM_TLS_CERT": "there is no such setting; did you mean BACKROOM_TLS_CERTIFICATE?",
    "BACKROOM_DATADIR": "there is no such setting; did you mean BACKROOM_DATA_DIR?",
    "backroom_grpc_adress": "there is no such setting; did you mean BACKROOM_GRPC_ADDRESS?",
    "Backroom_Grpc_Address": "settings are written in capitals: BACKROOM_GRPC_ADDRESS",
    "Database_Url": "settings are written in capitals: DATABASE_URL",
    "DATABSE_URL": "there is no such setting; did you mean DATABASE_URL?",
    "DATABASE_ULR": "there is no such setting; did you mean DATABASE_URL?",
    "BACKROOM_X": "there is no such setting; README.md and .env.example list them",
}


@pytest.mark.parametrize("name", MISTYPED)
def test_a_mistyped_setting_is_reported_with_a_suggestion(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """In one line, in any case; without a suggestion if none is similar."""
    monkeypatch.setenv(name, "127.0.0.1:1")
    assert problems() == [f"{name}: {MISTYPED[name]}"]


def test_another_programs_setting_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without our prefix is a mistake only if DATABASE_URL is not set and the name looks like a typo of it."""
    monkeypatch.setenv("DATABASE_URI", "postgresql://u@h/other")
    monkeypatch.setenv("DATABASES_URLS", "postgresql://u@h/other")
    assert settings.read().embedded
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/db")
    monkeypatch.setenv("DATABASE_URLL", "postgresql://u@h/other")
    assert settings.read().database_url == "postgresql://u@h/db"


WRONG = {
    ("BACKROOM_ENVIRONMENT", "prod"): "must be development or production; did you mean production?",
    ("BACKROOM_PAYMENT_PROVIDER", "Strip"): "must be sandbox, stripe or none; did you mean stripe?",
    ("BACKROOM_MAIL", "pigeon"): "must be log, file or smtp",
    ("LOG_LEVEL", "warn"): "must be DEBUG, INFO, WARNING or ERROR; did you mean WARNING?",
    ("BACKROOM_MODULES", "identity,commerse"): (
        "must be all, or some of identity, commerce, webhooks, flags, bookings, articles, with commas between;"
        " did you mean commerce?"
    ),
    (
        "BACKROOM_ALLOW_PLAINTEXT",
        "htp",
    ): "must be some of grpc, http, metrics, database, with commas between; did you mean http?",
    ("BACKROOM_MAX_CALLS", "many"): "must be a whole number",
    ("BACKROOM_HTTP_TLS", "perhaps"): "must be true or false",
    ("BACKROOM_HOLD_SECONDS", "2592001"): "must be at most 2,592,000",
    ("BACKROOM_CALLS_PER_SECOND", "-1"): "must be at least 0",
}


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_reported_with_the_allowed_ones(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """In plain words, with a suggestion if one is similar."""
    monkeypatch.setenv(name, value)
    assert problems() == [f"{name}: {WRONG[name, value]}"]


def test_all_problems_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each, for unknown and malformed settings alike."""
    wrong = {"BACKROOM_X": "1", "BACKROOM_Y": "1", "LOG_FORMAT": "xml", "BACKROOM_MODULES": "files"}
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    assert sorted(line.partition(":")[0] for line in problems()) == sorted(wrong)


def test_a_setting_of_a_module_that_is_not_served_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several processes may share an environment; it must be valid all the same."""
    monkeypatch.setenv("BACKROOM_MODULES", "identity")
    monkeypatch.setenv("BACKROOM_HOLD_SECONDS", "60")
    assert settings.read().of(CommerceSettings).hold_seconds == 60
    monkeypatch.setenv("BACKROOM_HOLD_SECONDS", "soon")
    assert problems() == ["BACKROOM_HOLD_SECONDS: must be a number"]


def test_a_module_needs_no_settings() -> None:
    """It is then built without any: its folder has no `settings.py`."""
    assert settings_class("process")().model_dump() == {}


def test_reading_settings_imports_no_other_code_of_a_module() -> None:
    """Nor the libraries that modules use: every command reads settings, and would wait for the imports."""
    code = "import sys; from server import settings; settings.read(); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    imported = set(ended.stdout.split())
    assert not imported & {"grpc", "google.protobuf", "sqlalchemy", "psycopg", "stripe", "starlette", "httpx"}
    for module in MODULES:
        assert not imported & {f"server.{module}.{each}" for each in ("module", "service", "servicer", "messages")}


def test_a_dotenv_file_supplies_what_the_environment_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment takes precedence."""
    (tmp_path / ".env").write_text("BACKROOM_DRAIN_SECONDS=7\nLOG_LEVEL=ERROR\nHOME_OF_SOMETHING_ELSE=1\n")
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    read = settings.read()
    assert (read.drain_seconds, read.log_level) == (7, "WARNING")


def test_an_unknown_setting_in_a_dotenv_file_is_reported(tmp_path: Path) -> None:
    """As in the environment."""
    (tmp_path / ".env").write_text("BACKROOM_GPRC_ADDRESS=127.0.0.1:1\n")
    (line,) = problems()
    assert line.startswith("BACKROOM_GPRC_ADDRESS: ")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_a_dotenv_file_in_another_encoding_is_reported(tmp_path: Path, encoding: str) -> None:
    """As some editors write it; in one line, with what to do."""
    (tmp_path / ".env").write_bytes("# Grüße\nLOG_LEVEL=ERROR\n".encode(encoding))
    (line,) = problems()
    assert line.startswith(".env: ")
    assert "save it as UTF-8" in line


def test_a_dotenv_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """As some editors write UTF-8: the first setting counts like any other."""
    (tmp_path / ".env").write_bytes("LOG_LEVEL=ERROR\nBACKROOM_DRAIN_SECONDS=7\n".encode("utf-8-sig"))
    read = settings.read()
    assert (read.log_level, read.drain_seconds) == ("ERROR", 7)


def test_settings_are_immutable_and_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are frozen, and their representation in a traceback or a log has neither password nor key."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@h/db")
    monkeypatch.setenv("BACKROOM_API_KEY", "brk_secret")
    read = settings.read()
    with pytest.raises(ValueError, match="frozen"):
        read.drain_seconds = 1  # type: ignore[misc]  # that is the point
    assert "brk_secret" not in repr(read)
    assert "hunter2" not in repr(read)


@given(host=st.text(string.ascii_lowercase + string.digits + ".-", min_size=1), port=st.integers(0, 65535))
def test_an_address_is_printed_as_it_is_written(host: str, port: int) -> None:
    """For names and for both kinds of IP addresses."""
    for text in (f"{host}:{port}", f"[fe80::{port:x}]:{port}"):
        address = Address(text)
        assert str(address) == text
        assert (str(Address(str(address))), address.port) == (text, port)


@pytest.mark.slow
async def test_a_command_ends_with_one_line_per_problem() -> None:
    """With exit code 2, no traceback, and nothing done."""
    finished = await backroom("serve", BACKROOM_NOPE="1", LOG_FORMAT="xml", BACKROOM_DRAIN_SECONDS="soon")
    assert (finished.code, finished.out) == (2, "")
    lines = finished.err.removeprefix("backroom: ").splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == ["BACKROOM_DRAIN_SECONDS", "BACKROOM_NOPE", "LOG_FORMAT"]
