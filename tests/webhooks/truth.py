"""Which requests are accepted: every request by what is special about it, and the expected status.

Each table's first row is the one that the others differ from.
"""

from collections.abc import Callable, Mapping
from typing import Any

from server.webhooks.receiver import MAX_BODY_BYTES
from tests.webhooks.http import Post
from tests.webhooks.senders import (
    NEW,
    OLD,
    ROTATED_AWAY,
    SECONDS,
    Headers,
    github,
    github_signature,
    standard,
    standard_signature,
    stripe,
    stripe_event,
    stripe_signature,
    whsec,
)

Table = Mapping[str, tuple[int, Post]]

_BODY = b'{"type": "invoice.paid"}'
_TIMES: Mapping[str, tuple[int, int | str]] = {
    "299 s early": (204, SECONDS + 299),
    "299 s late": (204, SECONDS - 299),
    "300 s early": (204, SECONDS + 300),
    "300 s late": (204, SECONDS - 300),
    "301 s early": (400, SECONDS + 301),
    "301 s late": (400, SECONDS - 301),
    "a time that is a word": (400, "soon"),
    "a time in a fraction": (400, f"{SECONDS}.0"),
    "a time in hexadecimal": (400, hex(SECONDS)),
    "a time with a sign": (400, f"+{SECONDS}"),
    "a negative time": (400, -SECONDS),
    "a huge time": (400, "9" * 400),
    "a time beyond all calendars": (400, "9" * 12),
    "a time with a blank": (400, f"{SECONDS // 1000} {SECONDS % 1000}"),
    "a time in milliseconds": (400, SECONDS * 1000),
}
_IDS = {
    "an id of 255 letters": (204, "i" * 255),
    "an id of 256 letters": (400, "i" * 256),
    "an id with NUL": (400, "a\0b"),
    "an id with a blank": (400, "a b"),
    "an id beyond ASCII": (400, "bä"),
}


def _each_header(post: Callable[[Headers], Post], headers: Headers) -> Table:
    """Each header missing, empty, duplicated, and preceded by another value."""
    table: dict[str, tuple[int, Post]] = {}
    for place, (name, value) in enumerate(headers):
        before, after = headers[:place], headers[place + 1 :]
        table[f"{name} missing"] = (400, post([*before, *after]))
        table[f"{name} empty"] = (400, post([*before, (name, ""), *after]))
        table[f"{name} twice"] = (400, post([*headers, (name, value)]))
        table[f"{name} twice, and different"] = (400, post([(name, "other"), *headers]))
    return table


def _billing(headers: Headers, body: bytes = _BODY) -> Post:
    return Post("billing", headers, body)


def _signed_by(*signatures: str) -> Post:
    return _billing([*standard(_BODY)[:2], ("webhook-signature", " ".join(signatures))])


_RIGHT = f"v1,{standard_signature(_BODY)}"
_WRONG = f"v1,{standard_signature(_BODY, secret=ROTATED_AWAY)}"

_STANDARD: Table = {
    "as it should be": (204, _billing(standard(_BODY))),
    "the old secret": (204, _billing(standard(_BODY, secret=OLD))),
    "a secret rotated away": (400, _billing(standard(_BODY, secret=ROTATED_AWAY))),
    **_each_header(_billing, standard(_BODY)),
    **{name: (status, _billing(standard(_BODY, at=at))) for name, (status, at) in _TIMES.items()},
    **{name: (status, _billing(standard(_BODY, event_id=each))) for name, (status, each) in _IDS.items()},
    "an id with a full stop": (400, _billing(standard(_BODY, event_id="a.b"))),
    "another body": (400, _billing(standard(_BODY), _BODY + b" ")),
    "another id": (400, _billing([("webhook-id", "msg_2"), *standard(_BODY)[1:]])),
    "another time": (400, _billing([("webhook-timestamp", str(SECONDS + 1)), *standard(_BODY)[::2]])),
    "the right signature of two, first": (204, _signed_by(_RIGHT, _WRONG)),
    "the right signature of two, last": (204, _signed_by(_WRONG, _RIGHT)),
    "the right signature beside one that is none": (204, _signed_by("v1", "v1,ab,c", "v2,!", _RIGHT)),
    "the right signature twice": (204, _signed_by(_RIGHT, _RIGHT)),
    "two wrong signatures": (400, _signed_by(_WRONG, _WRONG)),
    "version v2 only": (400, _billing(standard(_BODY, version="v2"))),
    "version v1a only": (400, _billing(standard(_BODY, version="v1a"))),
    "no version": (400, _signed_by(standard_signature(_BODY))),
    "a version only": (400, _signed_by("v1")),
    "a version and a comma": (400, _signed_by("v1,")),
    "bad base64": (400, _signed_by("v1,====")),
    "a signature cut short": (400, _signed_by(_RIGHT[:-4])),
    "a signature beyond ASCII": (400, _signed_by("v1,ä")),
    "commas for blanks": (400, _signed_by(f"{_WRONG},{_RIGHT}")),
    "a body that is not UTF-8": (400, _billing(standard(b"\xff\xfe"), b"\xff\xfe")),
    "an empty body": (204, _billing(standard(b""), b"")),
}


_EVENT = stripe_event()


def _stripe(headers: Headers, body: bytes = _EVENT) -> Post:
    return Post("stripe", headers, body)


def _stripe_header(value: str) -> Post:
    return _stripe([("stripe-signature", value)])


def _stripe_signed(body: bytes) -> Post:
    return _stripe(stripe(body), body)


_V1 = f"v1={stripe_signature(_EVENT)}"
_WRONG_V1 = f"v1={stripe_signature(_EVENT, secret=ROTATED_AWAY)}"

_STRIPE: Table = {
    "as it should be": (204, _stripe_signed(_EVENT)),
    "the old secret": (204, _stripe(stripe(_EVENT, secret=OLD))),
    "a secret rotated away": (400, _stripe(stripe(_EVENT, secret=ROTATED_AWAY))),
    **_each_header(_stripe, stripe(_EVENT)),
    **{name: (status, _stripe(stripe(_EVENT, at=at))) for name, (status, at) in _TIMES.items()},
    **{name: (status, _stripe_signed(stripe_event(each))) for name, (status, each) in _IDS.items()},
    "an id that is a number": (400, _stripe_signed(stripe_event(1))),
    "an id that is null": (400, _stripe_signed(stripe_event(None))),
    "an empty id": (400, _stripe_signed(stripe_event(""))),
    "an id that is half a character": (400, _stripe_signed(b'{"id": "\\ud800"}')),
    "no id": (400, _stripe_signed(b'{"object": "event"}')),
    "a body that is a list": (400, _stripe_signed(b'["id"]')),
    "a body that is not JSON": (400, _stripe_signed(b"id=evt_1")),
    "a body nested too deep": (400, _stripe_signed(b"[" * 100_000)),
    "a body that is not UTF-8": (400, _stripe_signed(b'{"id": "\xff"}')),
    "an empty body": (400, _stripe_signed(b"")),
    "another body": (400, _stripe(stripe(_EVENT), _EVENT.replace(b"evt_1", b"evt_2"))),
    "another time": (400, _stripe_header(f"t={SECONDS + 1},{_V1}")),
    "the right signature of two, first": (204, _stripe_header(f"t={SECONDS},{_V1},{_WRONG_V1}")),
    "the right signature of two, last": (204, _stripe_header(f"t={SECONDS},{_WRONG_V1},{_V1}")),
    "the time behind the signature": (204, _stripe_header(f"{_V1},t={SECONDS}")),
    "version v0 only": (400, _stripe(stripe(_EVENT, version="v0"))),
    "no time": (400, _stripe_header(_V1)),
    "two times": (400, _stripe_header(f"t={SECONDS},t={SECONDS},{_V1}")),
    "a time only": (400, _stripe_header(f"t={SECONDS}")),
    "a signature without a value": (400, _stripe_header(f"t={SECONDS},v1")),
    "a signature beyond ASCII": (400, _stripe_header(f"t={SECONDS},v1=ä")),
    "nothing but signs": (400, _stripe_header(",=,,==,")),
}


def _github(headers: Headers, body: bytes = _BODY) -> Post:
    return Post("github", headers, body)


def _github_signed_by(signature: str) -> Post:
    return _github([github(_BODY)[0], ("x-hub-signature-256", signature)])


_GITHUB: Table = {
    "as it should be": (204, _github(github(_BODY))),
    "the old secret": (204, _github(github(_BODY, secret=OLD))),
    "a secret rotated away": (400, _github(github(_BODY, secret=ROTATED_AWAY))),
    **_each_header(_github, github(_BODY)),
    **{name: (status, _github(github(_BODY, event_id=each))) for name, (status, each) in _IDS.items()},
    "another body": (400, _github(github(_BODY), _BODY + b" ")),
    "without the algorithm": (400, _github_signed_by(github_signature(_BODY))),
    "another algorithm": (400, _github_signed_by(f"sha1={github_signature(_BODY)}")),
    "in capitals": (400, _github_signed_by(f"sha256={github_signature(_BODY).upper()}")),
    "not hexadecimal": (400, _github_signed_by("sha256=zz")),
    "a signature beyond ASCII": (400, _github_signed_by("sha256=ä")),
    "the older header only": (400, _github([github(_BODY)[0], ("x-hub-signature", "sha1=00")])),
    "a body that is not UTF-8": (204, _github(github(b"\xff\xfe"), b"\xff\xfe")),
    "an empty body": (204, _github(github(b""), b"")),
}


_LARGEST, _LARGER = b"x" * MAX_BODY_BYTES, b"x" * (MAX_BODY_BYTES + 1)


def _post(body: bytes = _BODY, *, source: str = "billing", **rest: Any) -> Post:
    return Post(source, standard(body), body, **rest)


_DOOR: Table = {
    "as it should be": (204, _post()),
    "in chunks": (204, _post(chunk=5)),
    "the largest body": (204, _post(_LARGEST)),
    "the largest body, in chunks": (204, _post(_LARGEST, chunk=10_000)),
    "a larger body": (413, _post(_LARGER)),
    "a larger body, of which nothing comes": (413, _post(_LARGER, unsent=True)),
    "a larger body, in chunks": (413, _post(_LARGER, chunk=10_000)),
    "a larger body, in chunks that do not end": (413, _post(_LARGER, chunk=10_000, unsent=True)),
    "GET": (405, _post(method="GET")),
    "HEAD": (405, _post(method="HEAD")),
    "PUT": (405, _post(method="PUT")),
    "an unknown source": (404, _post(source="nobody")),
    "an unknown source, and GET": (404, _post(source="nobody", method="GET")),
    "an unknown source, of whose body nothing comes": (404, _post(source="nobody", unsent=True)),
    "a source in capitals": (404, _post(source="BILLING")),
    "a source with a slash": (404, _post(source="billing/")),
    "a source with NUL": (404, _post(source="billing%00")),
    "no source": (404, _post(source="")),
    "another source's scheme": (400, _post(source="github")),
    "another source's secret": (400, Post("sandbox", standard(_BODY, secret=OLD), _BODY)),
    "the secret's text as the key": (400, Post("billing", standard(_BODY, secret=whsec(NEW)), _BODY)),
}

TRUTH: Mapping[str, Table] = {"standard": _STANDARD, "stripe": _STRIPE, "github": _GITHUB, "door": _DOOR}
