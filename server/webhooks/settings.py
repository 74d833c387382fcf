"""What webhooks is told by the environment."""

from typing import Protocol

from server.frame.addresses import Network
from server.webhooks.rules.sources import Source


class WebhooksSettings(Protocol):
    @property
    def sandbox_webhook_secret(self) -> str | None: ...
    @property
    def webhook_sources(self) -> tuple[Source, ...]: ...
    @property
    def webhook_allowed_networks(self) -> tuple[Network, ...]: ...
