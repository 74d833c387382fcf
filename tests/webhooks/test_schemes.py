"""The three signature schemes, which accept only the right signature."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.webhooks.errors import SignatureInvalid
from server.webhooks.rules.schemes import scheme_of
from server.webhooks.rules.sources import SCHEMES
from tests.webhooks import senders
from tests.webhooks.senders import NEW, NOW, OLD, SECONDS, Headers

VERIFY = {name: scheme_of(name) for name in SCHEMES}
SIGN: Mapping[str, Callable[[bytes], Headers]] = {
    "standard": senders.standard,
    "stripe": senders.stripe,
    "github": senders.github,
}
LAW = settings(deadline=None)
NAMES = ["webhook-id", "webhook-timestamp", "webhook-signature", "stripe-signature", "x-github-delivery"]

values = st.one_of(
    st.text(),
    st.sampled_from(
        [str(SECONDS), f"t={SECONDS},v1=ä", f"t={SECONDS},v1", "v1,ä", "v1", "sha256=ä", "\ud800", "msg_1"]
    ),
)
headers = st.lists(st.tuples(st.sampled_from([*NAMES, "x-hub-signature-256"]), values), max_size=6)
bodies = st.one_of(
    st.binary(),
    st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.just({"id": 1})).map(
        lambda value: json.dumps(value).encode()
    ),
    st.sampled_from([b"[" * 100_000, b"1" * 5_000, b'{"id": ' * 50_000, b'{"id": "\\ud800"}', b"\xef\xbb\xbf{}"]),
)


def verified(scheme: str, headers: Headers, body: bytes) -> str | None:
    """The event's id; None if the request is not signed. Any other error fails the test."""
    try:
        return VERIFY[scheme](headers, body, (NEW, OLD), NOW)
    except SignatureInvalid:
        return None


def test_each_scheme_of_a_source_exists() -> None:
    """And no other."""
    assert len(set(VERIFY.values())) == 3
    with pytest.raises(KeyError):
        scheme_of("none")


def test_the_published_examples_pass() -> None:
    """That of Standard Webhooks' own libraries, and that of GitHub's documentation."""
    message = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ]
    then = datetime.fromtimestamp(1614265330, UTC)
    secrets = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",)
    assert VERIFY["standard"](message, b'{"test": 2432232314}', secrets, then) == message[0][1]
    delivery = [
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
    ]
    secrets = ("It's a Secret to Everybody",)
    assert VERIFY["github"](delivery, b"Hello, World!", secrets, then) == delivery[0][1]


@pytest.mark.parametrize("scheme", SCHEMES)
@LAW
@given(headers=headers, body=bodies)
def test_every_unsigned_request_is_refused_alike(scheme: str, headers: Headers, body: bytes) -> None:
    """Neither headers nor bodies, however malformed, raise anything but SignatureInvalid."""
    assert verified(scheme, headers, body) is None


@pytest.mark.parametrize("scheme", SCHEMES)
@LAW
@given(body=bodies)
def test_a_signed_request_has_an_id_or_is_refused(scheme: str, body: bytes) -> None:
    """A signature does not make a body valid."""
    event_id = verified(scheme, SIGN[scheme](body), body)
    assert event_id is None or event_id.isascii()
    if scheme == "github":
        assert event_id is not None


@pytest.mark.parametrize("scheme", SCHEMES)
@LAW
@given(data=st.data())
def test_any_change_is_detected(scheme: str, data: st.DataObject) -> None:
    """In the body and in each signed header; the body's length may change too."""
    body = senders.stripe_event()
    signed = SIGN[scheme](body)
    assert verified(scheme, signed, body) is not None
    start = data.draw(st.integers(0, len(body)))
    changed = body[:start] + data.draw(st.binary()) + body[data.draw(st.integers(start, len(body))) :]
    assert changed == body or verified(scheme, signed, changed) is None
    place = data.draw(st.sampled_from([place for place, (name, _) in enumerate(signed) if name != "x-github-delivery"]))
    name, value = signed[place]
    other = data.draw(st.text().filter(lambda text: text not in value))
    assert verified(scheme, [*signed[:place], (name, other), *signed[place + 1 :]], body) is None
