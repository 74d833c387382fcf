"""When a server must not start, and what it prints then."""

import base64
import json
import secrets
from pathlib import Path

import pytest

from server.frame.addresses import is_this_machine
from server.frame.sealing import new_master_key
from server.modules import MODULES
from server.process.start import is_guessable_key, reasons_not_to_start, warnings
from server.settings import Address, Settings, settings_of
from tests.fixtures.keys import MASTER_KEY
from tests.process.commands import backroom, backroom_here
from tests.process.papers import authority, files_in, issued

FIT = {
    "BACKROOM_ENVIRONMENT": "production",
    "BACKROOM_ISSUER": "https://backroom.example.com",
    "BACKROOM_MAIL": "smtp",
    "DATABASE_URL": "postgresql://u@h/db?sslmode=verify-full",
    "BACKROOM_MASTER_KEY": new_master_key(),
}
UNSET = ["BACKROOM_MASTER_KEY", "DATABASE_URL", "BACKROOM_ISSUER", "BACKROOM_MAIL"]
"""The settings that production needs, in the order of the messages."""
PUBLIC = {"BACKROOM_GRPC_ADDRESS": "0.0.0.0:50051", "BACKROOM_HTTP_ADDRESS": "[::]:8080"}
METRICS = {"BACKROOM_METRICS_ADDRESS": "0.0.0.0:9090"}
TLS = {"BACKROOM_TLS_CERTIFICATE": "/tls/chain.pem", "BACKROOM_TLS_KEY": "/tls/key.pem"}


def settings(**given: str) -> Settings:
    return settings_of(given)


def named(**given: str) -> list[str]:
    """The settings that prevent a server from starting."""
    return [line.partition(":")[0] for line in reasons_not_to_start(settings(**given))]


def test_development_starts_without_settings() -> None:
    """And without a warning."""
    assert reasons_not_to_start(settings()) == warnings(settings()) == []


def test_production_starts_with_the_required_settings() -> None:
    """Plain text only on loopback; on other addresses a certificate, or plain text explicitly allowed."""
    assert named(**FIT) == []
    assert named(**FIT, **PUBLIC, **TLS, BACKROOM_HTTP_TLS="true") == []
    assert named(**FIT, **PUBLIC, BACKROOM_ALLOW_PLAINTEXT="grpc,http") == []
    assert named(**FIT, **PUBLIC, **TLS, BACKROOM_ALLOW_PLAINTEXT="http") == []
    assert named(**FIT, **METRICS, BACKROOM_ALLOW_PLAINTEXT="metrics") == []
    assert named(**FIT, **METRICS, **TLS, BACKROOM_HTTP_TLS="true") == []
    assert named(**FIT, BACKROOM_METRICS_ADDRESS="127.0.0.1:9090") == []


@pytest.mark.parametrize("missing", ["DATABASE_URL", "BACKROOM_MASTER_KEY", "BACKROOM_ISSUER", "BACKROOM_MAIL"])
def test_production_does_not_start_without(missing: str) -> None:
    """Each missing setting is named; the embedded database does not count in production."""
    assert named(**{name: value for name, value in FIT.items() if name != missing}) == [missing]


WRAPPING = [
    "::ffff:0:0/96",
    "::ffff:128.0.0.0/97",
    "64:ff9b::/96",
    "64:ff9b::/64",
    "64:ff9b:1::/48",
    "2002::/19",
    "::/96",
]
"""IPv6 networks that embed much of IPv4, though few of IPv6's own addresses."""


@pytest.mark.parametrize("networks", ["0.0.0.0/0", "::/0", "10.0.0.0/8,0.0.0.0/1", "fd00::/8,8000::/1", *WRAPPING])
def test_production_sends_no_webhooks_into_all_networks(networks: str) -> None:
    """Private networks can be allowed, however large."""
    given = "BACKROOM_WEBHOOK_ALLOWED_NETWORKS"
    assert named(**FIT, **{given: networks}) == [given]
    own = "10.0.0.0/8,fc00::/7,127.0.0.1/32,64:ff9b::10.0.0.0/104,::ffff:10.0.0.0/104,2002:a00::/24"
    assert named(**FIT, **{given: own}) == []


def test_production_listens_on_no_public_address_in_plain_text() -> None:
    """Each such side is named."""
    assert named(**FIT, **PUBLIC) == ["BACKROOM_GRPC_ADDRESS", "BACKROOM_HTTP_ADDRESS"]
    assert named(**FIT, **PUBLIC, **TLS) == ["BACKROOM_HTTP_ADDRESS"]
    assert named(**FIT, **PUBLIC, BACKROOM_ALLOW_PLAINTEXT="http") == ["BACKROOM_GRPC_ADDRESS"]
    assert named(**FIT, **METRICS) == named(**FIT, **METRICS, BACKROOM_ALLOW_PLAINTEXT="grpc,http") == [*METRICS]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@db.example.com/b",
        "postgresql://u@10.0.0.5/b?sslmode=prefer",
        "postgresql://u@/b?host=/run/postgresql,db.example.com",
        "postgresql://u@localhost/b?hostaddr=10.0.0.5&sslmode=allow",
    ],
)
def test_production_reaches_no_database_in_plain_text(url: str) -> None:
    """Across a network, by either URL, unless that is allowed by name."""
    assert named(**{**FIT, "DATABASE_URL": url}) == ["DATABASE_URL"]
    assert named(**FIT, BACKROOM_DIRECT_DATABASE_URL=url) == ["BACKROOM_DIRECT_DATABASE_URL"]
    assert named(**{**FIT, "DATABASE_URL": url}, BACKROOM_ALLOW_PLAINTEXT="database") == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@db.example.com/b?sslmode=require",
        "postgresql://u@db.example.com/b?sslmode=verify-full&sslrootcert=system",
        "postgresql://u@127.0.0.1/b",
        "postgresql://u@[::1]/b",
        "postgresql:///b?host=/run/postgresql",
        "postgresql:///b",
    ],
)
def test_production_reaches_a_database_by_tls_or_on_this_machine(url: str) -> None:
    """A socket and the loopback need no TLS."""
    assert named(**{**FIT, "DATABASE_URL": url}) == []


def test_libpqs_environment_variables_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A URL may omit the host and sslmode."""
    bare = {**FIT, "DATABASE_URL": "postgresql:///b"}
    monkeypatch.setenv("PGHOST", "db.example.com")
    assert named(**bare) == ["DATABASE_URL"]
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert named(**bare) == []
    file = tmp_path / "services"
    file.write_text("[shop]\nhost=other.example.com\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGSERVICE", "shop")  # its file takes precedence over the environment
    assert named(**bare) == ["DATABASE_URL"]


GUESSABLE_KEYS = [
    bytes(32),
    b"\xa7" * 32,
    bytes(range(32)),
    bytes(range(96, 32, -2)),
    bytes.fromhex("1ed2f31ef41177df") * 4,
    b"change me, change me, change me!",
]


@pytest.mark.parametrize("key", GUESSABLE_KEYS)
def test_production_accepts_no_master_key_that_can_be_guessed(key: bytes) -> None:
    """The first of several or the last; in development it may be any."""
    text = base64.b64encode(key).decode()
    assert named(**{**FIT, "BACKROOM_MASTER_KEY": text}) == ["BACKROOM_MASTER_KEY"]
    assert named(**{**FIT, "BACKROOM_MASTER_KEY": f"{new_master_key()},{text}"}) == ["BACKROOM_MASTER_KEY"]
    assert named(BACKROOM_MASTER_KEY=text) == []


def test_production_accepts_every_random_master_key() -> None:
    """Of a thousand none is mistaken for a made-up one."""
    assert not any(is_guessable_key(secrets.token_bytes(32)) for _ in range(1000))


@pytest.mark.parametrize(
    ("scheme", "secret"),
    [
        ("github", "x"),
        ("github", "changeme"),
        ("github", "a" * 40),
        ("stripe", "whsec_test"),
        ("standard", "whsec_AAECAwQF"),
    ],
)
def test_production_accepts_no_sender_whose_secret_can_be_guessed(scheme: str, secret: str) -> None:
    """With a guessed secret anyone could report an order as paid. The line quotes nothing of it."""
    good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    given = {"BACKROOM_WEBHOOK_SOURCES": json.dumps({"hub": {"scheme": scheme, "secrets": [good, secret]}})}
    assert named(**FIT, **given) == [*given]
    assert secret not in reasons_not_to_start(settings(**FIT, **given))[0].removeprefix(
        "BACKROOM_WEBHOOK_SOURCES: hub has a"
    )
    assert named(**given) == []
    given = {"BACKROOM_WEBHOOK_SOURCES": json.dumps({"hub": {"scheme": scheme, "secrets": [good]}})}
    assert named(**FIT, **given) == []


@pytest.mark.parametrize(
    "url", ["http://localhost", "https://localhost:8443/b", "http://127.0.0.1", "https://[::1]/", "https:///b"]
)
def test_production_refuses_a_local_issuer(url: str) -> None:
    """With the default, tokens of a developer's machine would be valid."""
    assert named(**{**FIT, "BACKROOM_ISSUER": url}) == ["BACKROOM_ISSUER"]


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "2000::/3", *WRAPPING])
def test_production_does_not_trust_public_networks_as_proxies(network: str) -> None:
    """Not even next to the proxies' own networks."""
    assert named(**FIT, BACKROOM_TRUSTED_PROXIES=f"10.0.0.0/8,{network}") == ["BACKROOM_TRUSTED_PROXIES"]
    assert named(BACKROOM_TRUSTED_PROXIES=network) == []
    own = "10.0.0.0/8,fc00::/7,100.64.0.0/10,203.0.113.0/24,2001:db8::/32"
    assert named(**FIT, BACKROOM_TRUSTED_PROXIES=own) == []


@pytest.mark.parametrize(
    ("unfit", "module"),
    [
        ({"BACKROOM_PAYMENT_PROVIDER": "sandbox"}, "commerce"),
        ({"BACKROOM_MAIL": "file"}, "identity"),
        ({"BACKROOM_MAIL_LINK": "http://example.com/?t={token}"}, "identity"),
        ({"BACKROOM_WEBHOOK_SOURCES": '{"hub":{"scheme":"github","secrets":["x"]}}'}, "webhooks"),
        ({"BACKROOM_WEBHOOK_ALLOWED_NETWORKS": "0.0.0.0/0"}, "webhooks"),
    ],
)
def test_production_does_not_start_with_test_components(unfit: dict[str, str], module: str) -> None:
    """If this process serves what they are for; in development it does."""
    assert named(**{**FIT, **unfit}) == list(unfit)
    assert named(**{**FIT, **unfit}, BACKROOM_MODULES=module) == list(unfit)
    for other in set(MODULES) - {module}:
        assert named(**{**FIT, **unfit}, BACKROOM_MODULES=other) == []
    assert named(**unfit) == []


def test_production_starts_without_mails_if_configured_so() -> None:
    """For example if admins create all accounts."""
    assert named(**{**FIT, "BACKROOM_MAIL": "log"}) == []


def test_each_reason_is_one_line_that_says_what_to_do() -> None:
    """The setting, what is wrong with it, and what to do."""
    given = {"BACKROOM_TRUSTED_PROXIES": "0.0.0.0/0", "BACKROOM_PAYMENT_PROVIDER": "sandbox", "BACKROOM_MAIL": "file"}
    url = "postgresql://u:hunter2@db.example.com/b"
    lines = reasons_not_to_start(settings(**{**FIT, **given, "DATABASE_URL": url}))
    assert [line.replace("; ", "\n").splitlines()[-1] for line in lines] == [
        "add sslmode=verify-full, or sslmode=require, to it, or list database in BACKROOM_ALLOW_PLAINTEXT",
        "name the proxies' own networks",
        "set it to smtp, or to log where nobody is to have a mail",
        "set it to stripe, or to none",
    ]
    assert lines[0].startswith("DATABASE_URL: the way to db.example.com may be in plain text; ")
    assert lines[1].startswith("BACKROOM_TRUSTED_PROXIES: 0.0.0.0/0 has outsiders in it")
    assert lines[2].startswith("BACKROOM_MAIL: is needed in production; ")
    assert lines[3].startswith("BACKROOM_PAYMENT_PROVIDER: sandbox moves no money; ")


def test_development_warns_of_a_public_plain_text_port() -> None:
    """But not if it was allowed."""
    assert [line.partition(":")[0] for line in warnings(settings(**PUBLIC))] == list(PUBLIC)
    assert warnings(settings(**PUBLIC, BACKROOM_ALLOW_PLAINTEXT="grpc,http")) == []


@pytest.mark.parametrize(
    ("half", "missing"),
    [
        ({"BACKROOM_TLS_CERTIFICATE": "/c"}, "BACKROOM_TLS_KEY"),
        ({"BACKROOM_TLS_KEY": "/k"}, "BACKROOM_TLS_CERTIFICATE"),
        ({"BACKROOM_TLS_CLIENT_CA": "/a"}, "BACKROOM_TLS_CERTIFICATE"),
        ({"BACKROOM_HTTP_TLS": "true"}, "BACKROOM_TLS_CERTIFICATE"),
        ({"BACKROOM_CALLS_BURST": "5"}, "BACKROOM_CALLS_PER_SECOND"),
    ],
)
def test_a_setting_that_has_no_effect_alone_is_refused(half: dict[str, str], missing: str) -> None:
    """In development too: an operator would believe that it is in force."""
    assert named(**half) == [missing]


def test_only_the_loopback_is_local() -> None:
    """A name may resolve to any address."""
    local = ("127.0.0.1:1", "127.8.9.10:1", "[::1]:1", "localhost:1")
    public = ("0.0.0.0:1", "[::]:1", "10.0.0.7:1", "[fe80::1]:1", "localhost.example.com:1", "backroom:1")
    assert all(is_this_machine(Address(each).host) for each in local)
    assert not any(is_this_machine(Address(each).host) for each in public)


def test_reflection_is_off_in_production_unless_enabled() -> None:
    """And on elsewhere unless disabled."""
    assert [settings(BACKROOM_ENVIRONMENT=each).reflects for each in ("development", "production")] == [True, False]
    assert settings(BACKROOM_ENVIRONMENT="production", BACKROOM_REFLECTION="true").reflects
    assert not settings(BACKROOM_REFLECTION="false").reflects


@pytest.mark.slow
async def test_a_refused_start_prints_one_line_per_reason() -> None:
    """With exit code 1, and before anything was created or opened."""
    finished = await backroom("serve", BACKROOM_ENVIRONMENT="production", **PUBLIC)
    assert (finished.code, finished.out) == (1, "")
    lines = finished.err.removeprefix("backroom: ").splitlines()
    assert [line.partition(":")[0] for line in lines] == [*UNSET, *PUBLIC]


def test_a_worker_needs_everything_but_the_ports(capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused for the other reasons."""
    finished = backroom_here(capsys, "worker", BACKROOM_ENVIRONMENT="production", **PUBLIC)
    lines = finished.err.removeprefix("backroom: ").splitlines()
    assert [line.partition(":")[0] for line in lines] == UNSET


@pytest.mark.slow
async def test_an_unreadable_certificate_prevents_the_start(database_url: str, tmp_path: Path) -> None:
    """The line names the setting and the file."""
    files = files_in(tmp_path)
    files.hold(issued(authority()))
    files.certificate.write_text("not PEM")
    given = {"BACKROOM_TLS_CERTIFICATE": str(files.certificate), "BACKROOM_TLS_KEY": str(files.key)}
    finished = await backroom("serve", DATABASE_URL=database_url, BACKROOM_MASTER_KEY=MASTER_KEY, **given)
    (line,) = [line for line in finished.err.splitlines() if line.startswith("backroom: ")]
    assert finished.code == 1
    assert line.startswith(f"backroom: BACKROOM_TLS_CERTIFICATE: {files.certificate}")
    assert "Traceback" not in finished.err


def test_the_doctor_says_what_prevents_a_start(capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do, and exit code 1."""
    finished = backroom_here(capsys, "doctor", BACKROOM_ENVIRONMENT="production", COLUMNS="250", **PUBLIC)
    assert finished.code == 1
    for setting in (*UNSET, *PUBLIC):
        (row,) = [line for line in finished.out.splitlines() if f"start: {setting}" in line]
        assert "refuses to start" in row
