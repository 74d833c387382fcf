"""Commerce's settings: a payment provider, and what it needs."""

from pathlib import Path

import pytest

from server.commerce.providers.configured import providers_of
from server.commerce.settings import CommerceSettings
from server.frame.module import SettingMissing
from server.frame.settings import Deployment, Shown
from server.settings import settings_of

OURS = Deployment(production=False, embedded=False, data_dir=Path(".backroom"))
SETTING = "BACKROOM_PAYMENT_PROVIDER"


def commerce(**given: str) -> CommerceSettings:
    return settings_of(given).of(CommerceSettings)


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({SETTING: "stripe"}, "BACKROOM_STRIPE_KEY"),
        ({SETTING: "sandbox"}, "BACKROOM_SANDBOX_URL and BACKROOM_SANDBOX_KEY"),
        (
            {SETTING: "sandbox", "BACKROOM_SANDBOX_URL": "http://127.0.0.1:1"},
            "BACKROOM_SANDBOX_URL and BACKROOM_SANDBOX_KEY",
        ),
    ],
)
def test_a_provider_without_its_settings_is_named_with_what_it_needs(given: dict[str, str], needed: str) -> None:
    """When the server starts, and in `doctor`."""
    settings = commerce(**given)
    with pytest.raises(SettingMissing, match=f"^{SETTING}: {given[SETTING]} needs {needed}$"):
        providers_of(settings)
    assert settings.shown(OURS) == {SETTING: Shown(given[SETTING], f"set {needed}")}


async def test_the_configured_provider_takes_payments() -> None:
    """Others that are configured too may have been used for earlier payments."""
    settings = commerce(
        BACKROOM_PAYMENT_PROVIDER="sandbox",
        BACKROOM_SANDBOX_URL="http://127.0.0.1:1",
        BACKROOM_SANDBOX_KEY="key",
    )
    assert settings.shown(OURS) == {SETTING: Shown("sandbox")}
    providers = providers_of(settings)
    assert (providers.chosen, [*providers.by_name]) == ("sandbox", ["sandbox"])
    await providers.aclose()


def test_the_embedded_database_has_a_sandbox_that_needs_no_settings() -> None:
    """Unless another provider is named."""
    embedded = Deployment(production=False, embedded=True, data_dir=Path(".backroom"))
    for given in ({}, {SETTING: "sandbox"}):
        assert commerce(**given).shown(embedded) == {SETTING: Shown("sandbox")}
    named = commerce(**{SETTING: "sandbox", "BACKROOM_SANDBOX_URL": "http://127.0.0.1:1"})
    assert named.shown(embedded)[SETTING].fix == "set BACKROOM_SANDBOX_URL and BACKROOM_SANDBOX_KEY"
    assert commerce(BACKROOM_SANDBOX_URL="http://127.0.0.1:1").shown(embedded) == {SETTING: Shown("none")}
    assert commerce().shown(OURS) == {SETTING: Shown("none")}
