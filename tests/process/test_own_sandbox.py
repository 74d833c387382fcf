"""How the sandbox of a first run affects the settings."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from server.commerce.settings import CommerceSettings
from server.process.data_dir.own_sandbox import Sandbox, with_running_sandbox, with_sandbox
from server.webhooks.settings import WebhooksSettings
from tests.fixtures.applications import settings_of

OURS = Sandbox("http://127.0.0.1:4242", "key of ours", "whsec_b3Vycw==")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "sandbox.json").write_text(json.dumps(asdict(OURS)))
    return tmp_path


def test_payments_use_a_sandbox_that_runs_next_to_the_server(data_dir: Path) -> None:
    """For commands too; unless another provider was chosen, new payments use it."""
    for settings in (settings_of(), settings_of(payment_provider="none"), settings_of(payment_provider="stripe")):
        beside = with_running_sandbox(settings.model_copy(update={"data_dir": data_dir}))
        assert beside == with_sandbox(settings, OURS).model_copy(update={"data_dir": data_dir})
        paying = beside.of(CommerceSettings)
        assert (paying.sandbox_url, paying.sandbox_key) == (OURS.url, OURS.key)
        assert beside.of(WebhooksSettings).sandbox_webhook_secret == OURS.webhook_secret
        assert paying.payment_provider == (settings.of(CommerceSettings).payment_provider or "sandbox")


def test_explicit_settings_override_an_earlier_starts_sandbox(data_dir: Path) -> None:
    """A named one, and an external database, with which none is started."""
    named = settings_of(data_dir=data_dir, sandbox_url="http://sandbox.example", sandbox_key="key")
    own = settings_of(data_dir=data_dir, database_url="postgresql://db.example/shop")
    for settings in (named, own):
        assert with_running_sandbox(settings) == settings


def test_without_a_sandbox_the_settings_do_not_change(tmp_path: Path) -> None:
    """If no server has started one."""
    settings = settings_of(data_dir=tmp_path)
    assert with_running_sandbox(settings) == with_sandbox(settings, None) == settings
