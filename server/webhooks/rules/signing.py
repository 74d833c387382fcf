"""Signing as Standard Webhooks says (https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

SECRET_BYTES = 32


def shown(secret: bytes) -> str:
    """A secret as its owner keeps it."""
    return f"whsec_{base64.b64encode(secret).decode()}"


def signed_headers(delivery_id: UUID, body: bytes, secrets: Sequence[bytes], now: datetime) -> Mapping[str, str]:
    """The headers that distinguish an attempt from others; one signature for each secret."""
    time = int(now.timestamp())
    content = f"{delivery_id}.{time}.".encode() + body
    return {
        "webhook-id": str(delivery_id),
        "webhook-timestamp": str(time),
        "webhook-signature": " ".join(_signature(secret, content) for secret in secrets),
    }


def _signature(secret: bytes, content: bytes) -> str:
    return f"v1,{base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode()}"
