"""The senders of webhooks: each signs as its own documentation says, without the libraries that we verify with."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

from server.webhooks.rules.sources import Source

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""The current time of these tests' servers."""
SECONDS = int(NOW.timestamp())

Headers = list[tuple[str, str]]


def whsec(name: str) -> str:
    return f"whsec_{base64.b64encode(name.encode()).decode()}"


NEW, OLD, ROTATED_AWAY = whsec("the new secret"), whsec("the old secret"), whsec("a secret rotated away")
"""Valid for each of the schemes."""

SOURCES = (
    Source("billing", "standard", (NEW, OLD)),
    Source("sandbox", "standard", (NEW,)),
    Source("stripe", "stripe", (NEW, OLD)),
    Source("github", "github", (NEW, OLD)),
)
SETTING = json.dumps({each.name: {"scheme": each.scheme, "secrets": each.secrets} for each in SOURCES})
"""The same as an operator writes it."""


def standard(
    body: bytes, *, event_id: str = "msg_1", at: int | str = SECONDS, secret: str = NEW, version: str = "v1"
) -> Headers:
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    signature = standard_signature(body, event_id=event_id, at=at, secret=secret)
    return [
        ("webhook-id", event_id),
        ("webhook-timestamp", str(at)),
        ("webhook-signature", f"{version},{signature}"),
    ]


def standard_signature(body: bytes, *, event_id: str = "msg_1", at: int | str = SECONDS, secret: str = NEW) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{event_id}.{at}.".encode("latin-1") + body
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def stripe(body: bytes, *, at: int | str = SECONDS, secret: str = NEW, version: str = "v1") -> Headers:
    """https://docs.stripe.com/webhooks/signature"""
    return [("stripe-signature", f"t={at},{version}={stripe_signature(body, at=at, secret=secret)}")]


def stripe_signature(body: bytes, *, at: int | str = SECONDS, secret: str = NEW) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode("latin-1") + body, hashlib.sha256).hexdigest()


def stripe_event(event_id: object = "evt_1") -> bytes:
    return json.dumps({"id": event_id, "object": "event", "type": "payment_intent.succeeded"}).encode()


def github(body: bytes, *, event_id: str = "72d3162e", secret: str = NEW) -> Headers:
    """https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""
    return [("x-github-delivery", event_id), ("x-hub-signature-256", f"sha256={github_signature(body, secret)}")]


def github_signature(body: bytes, secret: str = NEW) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
