"""What is set for webhooks: who may send them here, and where they may be sent to."""

import base64
import json
from collections.abc import Iterator, Mapping

from pydantic import field_validator

from server.frame.addresses import Network, covers_the_public, read_networks
from server.frame.settings import DeclaredSettings, Deployment, Shown, setting
from server.webhooks.rules.sources import Source, read_sources

_SHORTEST_SECRET = 16
"""In characters, or in bytes where a secret is base64."""
_MIN_LETTERS = 6
"""Different characters of a secret."""
_STANDARD = "whsec_"


class WebhooksSettings(DeclaredSettings):
    """The module `webhooks`: senders, and receivers that are not public."""

    webhook_sources: tuple[Source, ...] = setting(
        "BACKROOM_WEBHOOK_SOURCES",
        (),
        "who may send webhooks to `/webhooks/NAME`: JSON, with a scheme (`standard`, `stripe` or `github`) and one or"
        " two secrets each",
        typed="{}",
        example='{"stripe":{"scheme":"stripe","secrets":["whsec_..."]}}',
        page="docs/webhooks.md",
        secret=True,
    )
    sandbox_webhook_secret: str | None = setting(
        "BACKROOM_SANDBOX_WEBHOOK_SECRET",
        None,
        "the secret that a sandbox which `backroom sandbox-provider` runs signs its webhooks with",
        secret=True,
    )
    webhook_allowed_networks: tuple[Network, ...] = setting(
        "BACKROOM_WEBHOOK_ALLOWED_NETWORKS",
        (),
        "networks that webhooks may be sent to though they are not public",
        example="10.1.0.0/16,127.0.0.1/32",
    )

    def unfit_for_production(self) -> Iterator[str]:
        for source in self.webhook_sources:
            if any(is_guessable_secret(source.scheme, secret) for secret in source.secrets):
                yield (
                    f"BACKROOM_WEBHOOK_SOURCES: {source.name} has a secret that can be guessed;"
                    " set one of 16 random characters or more, here and at the sender"
                )
        for network in filter(covers_the_public, self.webhook_allowed_networks):
            yield f"BACKROOM_WEBHOOK_ALLOWED_NETWORKS: {network} has strangers in it; name the networks that are meant"

    def shown(self, deployment: Deployment) -> Mapping[str, Shown]:
        """Of the sources their names, and none of their secrets."""
        names = ", ".join(source.name for source in self.webhook_sources)
        return {"BACKROOM_WEBHOOK_SOURCES": Shown(names or "none")}

    @field_validator("webhook_sources", mode="before")
    @classmethod
    def _sources(cls, value: object) -> object:
        return read_sources(value) if isinstance(value, str) else value

    @field_validator("sandbox_webhook_secret")
    @classmethod
    def _secret(cls, value: str | None) -> str | None:
        if value is not None:
            read_sources(json.dumps({"sandbox": {"scheme": "standard", "secrets": [value]}}))
        return value

    @field_validator("webhook_allowed_networks", mode="before")
    @classmethod
    def _allowed_networks(cls, value: object) -> object:
        return read_networks(value) if isinstance(value, str) else value


def is_guessable_secret(scheme: str, secret: str) -> bool:
    """Whether whoever tries may forge what a sender signs with this."""
    said: bytes = secret.encode()
    if scheme == "standard":
        encoded = secret.removeprefix(_STANDARD)
        said = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return len(said) < _SHORTEST_SECRET or len(set(said)) < _MIN_LETTERS
