"""Outgoing requests are signed as Standard Webhooks says; that project's own library verifies them."""

import base64
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from server.webhooks.rules.signing import shown, signed_headers

BODY = '{"type":"order.paid","data":{"name":"\N{SNOWMAN}"}}'.encode()
SECRETS = st.binary(min_size=32, max_size=32)


@given(secret=SECRETS, body=st.text().map(str.encode))
def test_a_receiver_can_verify_a_request(secret: bytes, body: bytes) -> None:
    """With the secret in the form in which its owner was shown it."""
    headers = signed_headers(uuid4(), body, [secret], datetime.now(UTC))
    Webhook(shown(secret)).verify(body.decode(), dict(headers), json_parse=False)


@given(old=SECRETS, new=SECRETS)
def test_either_of_two_secrets_verifies(old: bytes, new: bytes) -> None:
    """So receivers can verify before and after they have changed to the new one."""
    headers = dict(signed_headers(uuid4(), BODY, [new, old], datetime.now(UTC)))
    for secret in (old, new):
        assert Webhook(shown(secret)).verify(BODY, headers)


@pytest.mark.parametrize(
    "changed",
    [{"webhook-id": str(uuid4())}, {"webhook-timestamp": str(int(datetime.now(UTC).timestamp()) - 1)}, {}],
    ids=["id", "timestamp", "body"],
)
def test_any_changed_part_is_detected(changed: dict[str, str]) -> None:
    """The id, the time, or the body."""
    secret = bytes(32)
    headers = {**signed_headers(uuid4(), BODY, [secret], datetime.now(UTC)), **changed}
    with pytest.raises(WebhookVerificationError):
        Webhook(shown(secret)).verify(BODY if changed else BODY + b" ", headers)


def test_a_secret_is_shown_in_the_standards_form() -> None:
    """A prefix, and base64."""
    assert base64.b64decode(shown(bytes(range(32))).removeprefix("whsec_"), validate=True) == bytes(range(32))
