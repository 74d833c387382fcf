"""How senders sign their requests, and which event each request is."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from standardwebhooks import Webhook

from server.webhooks.errors import SignatureInvalid
from server.webhooks.rules.headers import Headers, recent, single_header, valid_event_id


class Scheme(Protocol):
    """One way to sign."""

    def __call__(self, headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> str:
        """The sender's id of the event, of a request that one of the secrets signed.

        Raises SignatureInvalid, and nothing else, whatever came.
        """


def scheme_of(name: str) -> Scheme:
    """The scheme of this name; raises KeyError. Only Stripe's needs its library, which is slow to import."""
    if name == "stripe":
        from server.webhooks.rules.stripe import stripe

        return stripe
    return {"standard": standard, "github": github}[name]


def standard(headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> str:
    """Standard Webhooks, https://www.standardwebhooks.com: the id and the time are signed with the body.

    One of the signatures must be right; those of other versions are not looked at. Only text can be signed.
    """
    event_id = valid_event_id(single_header(headers, "webhook-id"))
    if "." in event_id:
        # A full stop ends the id in what is signed: what stands behind it could pass for the time and the body.
        raise SignatureInvalid
    sent = recent(single_header(headers, "webhook-timestamp"), now)
    signatures = single_header(headers, "webhook-signature").split(" ")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise SignatureInvalid from None
    # The library's own check reads the machine's clock, and lets ValueError out.
    expected = [Webhook(secret).sign(event_id, sent, text) for secret in secrets]
    if not any(hmac.compare_digest(each, signature) for each in expected for signature in signatures):
        raise SignatureInvalid
    return event_id


def github(headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> str:  # noqa: ARG001 - see below
    """GitHub, https://docs.github.com/en/webhooks: the body alone is signed, and no time is told.

    So whoever has seen a request can send it again under another id, which is then another event.
    """
    event_id = valid_event_id(single_header(headers, "x-github-delivery"))
    signature = single_header(headers, "x-hub-signature-256")
    digests = (hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets)
    if not any(hmac.compare_digest(f"sha256={digest}", signature) for digest in digests):
        raise SignatureInvalid
    return event_id
