"""What endpoints' requests are signed with, which nobody reads who has the database alone."""

import base64
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.frame.sealing import MasterKeys
from storage.webhooks.records import Endpoint, EndpointSecret

_SEALED = "sealed:"
"""No URL of an endpoint begins so."""


class SecretSeals:
    """Seals secrets, each for its own place."""

    def __init__(self, master_keys: MasterKeys) -> None:
        self._master_keys = master_keys

    @property
    def mark(self) -> bytes:
        """The prefix of those that are sealed by the current key."""
        return self._master_keys.first_mark

    def new(self, endpoint_id: UUID, generation: int, secret: bytes, now: datetime) -> EndpointSecret:
        """The newest secret of an endpoint, sealed."""
        return self.sealed(EndpointSecret(endpoint_id, generation, secret, False, now, None))

    def sealed(self, kept: EndpointSecret) -> EndpointSecret:
        """The same, sealed by the first master key; raises SealBroken."""
        secret = self._master_keys.seal(_purpose(kept), self.opened(kept))
        return replace(kept, secret=secret, sealed=True)

    def opened(self, kept: EndpointSecret) -> bytes:
        """The secret itself; raises SealBroken."""
        return self._master_keys.open(_purpose(kept), kept.secret) if kept.sealed else kept.secret

    def hidden(self, endpoint: Endpoint) -> Endpoint:
        """The same, to be remembered as an answer: its URL, which may contain a token, is sealed."""
        sealed = self._master_keys.seal(_url_purpose(endpoint), endpoint.url.encode())
        return replace(endpoint, url=_SEALED + base64.b64encode(sealed).decode())

    def shown(self, remembered: Endpoint) -> Endpoint:
        """What `hidden` hid; an earlier version did not. Raises SealBroken."""
        if not remembered.url.startswith(_SEALED):
            return remembered
        sealed = base64.b64decode(remembered.url.removeprefix(_SEALED))
        return replace(remembered, url=self._master_keys.open(_url_purpose(remembered), sealed).decode())


def _url_purpose(endpoint: Endpoint) -> str:
    return f"webhooks.endpoint_url/{endpoint.id}"


def _purpose(kept: EndpointSecret) -> str:
    return f"webhooks.endpoint_secrets/{kept.endpoint_id}/{kept.generation}"
