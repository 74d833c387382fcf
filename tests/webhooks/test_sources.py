"""The setting for senders of webhooks."""

import asyncio
import json
from pathlib import Path

import pytest

from server import settings
from server.settings import SettingsError
from server.webhooks.rules.sources import Source
from server.webhooks.settings import WebhooksSettings
from tests.fixtures.servers import Running
from tests.process.commands import backroom_here
from tests.webhooks.senders import SETTING, SOURCES

SETTING_NAME = "BACKROOM_WEBHOOK_SOURCES"


def one(**changed: object) -> str:
    """A valid source, except for what is overridden."""
    return json.dumps({"billing": {"scheme": "github", "secrets": ["hunter2"], **changed}})


MALFORMED = {
    "no JSON": "hunter2",
    "JSON without an end": '{"billing": {"scheme": "github", "secrets": ["hunter2"',
    "nested too deep": "[" * 100_000,
    "no object": '["hunter2"]',
    "a name twice": one()[:-1] + ", " + one()[1:],
    "a name in capitals": '{"HUNTER2": {"scheme": "github", "secrets": ["hunter2"]}}',
    "a name that is too long": json.dumps({"a" * 41: {"scheme": "github", "secrets": ["hunter2"]}}),
    "no name": '{"": {"scheme": "github", "secrets": ["hunter2"]}}',
    "secrets alone": '{"billing": ["hunter2"]}',
    "no scheme": '{"billing": {"secrets": ["hunter2"]}}',
    "more than there is": one(secret="hunter2"),
    "an unknown scheme": one(scheme="hunter2"),
    "a scheme that is a list": one(scheme=["hunter2"]),
    "no secrets": one(secrets=[]),
    "three secrets": one(secrets=["hunter2", "hunter2", "hunter2"]),
    "secrets that are text": one(secrets="hunter2"),
    "a secret that is a number": one(secrets=[2]),
    "an empty secret": one(secrets=["hunter2", ""]),
    "a secret with a blank behind it": one(secrets=["hunter2 "]),
    "a secret beyond ASCII": one(secrets=["hunter2ä"]),
    "half a character": '{"billing": {"scheme": "github", "secrets": ["hunter2\\ud800"]}}',
    "a standard secret that is not base64": one(scheme="standard", secrets=["whsec_hunter2A-"]),
    "a standard secret of a length that base64 has not": one(scheme="standard", secrets=["whsec_hunte"]),
    "a standard secret without its beginning": one(scheme="standard", secrets=["hunter22"]),
    "a standard secret of nothing": one(scheme="standard", secrets=["whsec_"]),
}


@pytest.fixture(autouse=True)
def _no_dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without a .env."""
    monkeypatch.chdir(tmp_path)


def test_sources_are_parsed_and_their_secrets_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are frozen, with one secret or two, whose padding may be missing."""
    monkeypatch.setenv(SETTING_NAME, SETTING)
    read = settings.read()
    assert read.of(WebhooksSettings).webhook_sources == SOURCES
    assert not any(secret in repr(read) + repr(SOURCES) for source in SOURCES for secret in source.secrets)
    monkeypatch.setenv(SETTING_NAME, one(scheme="standard", secrets=["whsec_aGk"]))
    named = settings.read().of(WebhooksSettings).webhook_sources
    assert named == (Source("billing", "standard", ("whsec_aGk",)),)


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_sources_prevent_the_start(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """With one line that names the setting and shows no secret."""
    monkeypatch.setenv(SETTING_NAME, MALFORMED[case])
    with pytest.raises(SettingsError) as raised:
        settings.read()
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{SETTING_NAME}: ")
    assert "hunte" not in line.lower()


async def test_the_doctor_shows_only_the_names(
    server: Running, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the schemes nor the secrets."""
    beside = {
        "BACKROOM_GRPC_ADDRESS": server.address,
        "BACKROOM_HTTP_ADDRESS": server.http.removeprefix("http://"),
        "DATABASE_URL": database_url,
        "COLUMNS": "200",
        SETTING_NAME: SETTING,
    }
    finished = await asyncio.to_thread(backroom_here, capsys, "doctor", **beside)
    (row,) = (line for line in finished.out.splitlines() if SETTING_NAME in line)
    assert row.split(SETTING_NAME)[1].strip() == "billing, sandbox, stripe, github"
    assert not any(secret in finished.out + finished.err for source in SOURCES for secret in source.secrets)
