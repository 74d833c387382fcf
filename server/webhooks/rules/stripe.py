"""How Stripe signs."""

import json
from collections.abc import Sequence
from datetime import datetime

from stripe import SignatureVerificationError, WebhookSignature

from server.webhooks.errors import SignatureInvalid
from server.webhooks.rules.headers import Headers, recent, single_header, valid_event_id


def stripe(headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> str:
    """Stripe, https://docs.stripe.com/webhooks/signature: the time is signed with the body, which holds the id."""
    header = single_header(headers, "stripe-signature")
    times = [value for name, _, value in (item.partition("=") for item in header.split(",")) if name == "t"]
    if len(times) != 1:
        raise SignatureInvalid
    recent(times[0], now)
    if not any(_signed(header, body, secret) for secret in secrets):
        raise SignatureInvalid
    try:
        event = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise SignatureInvalid from None
    return valid_event_id(event.get("id") if isinstance(event, dict) else None)


def _signed(header: str, body: bytes, secret: str) -> bool:
    """By the library, without its tolerance: that is held against the machine's clock, and for the past alone."""
    try:
        return bool(WebhookSignature.verify_header(body, header, secret))
    except (SignatureVerificationError, UnicodeDecodeError):
        return False
