"""Which requests the API accepts."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.fixtures.sandbox import Sandbox

GOOD: dict[str, Any] = {"amount": "1.5", "currency": "GBP", "reference": "ref", "method": ""}


def raw(sandbox: Sandbox, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Any:
    return sandbox.control.request(method, path, content=content, headers=headers)


async def ask(sandbox: Sandbox, path: str, body: Any, **headers: str) -> httpx.Response:
    return await sandbox.control.post(path, json=body, headers={"idempotency-key": str(uuid4()), **headers})


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 1.5},
        {"amount": "0"},
        {"amount": "0.000000000"},
        {"amount": "-1"},
        {"amount": "+1"},
        {"amount": "1e5"},
        {"amount": "NaN"},
        {"amount": "1.0000000001"},
        {"amount": "1" * 20},
        {"amount": "\u0661"},
        {"amount": "1\n"},
        {"amount": None},
        {"currency": "gbp"},
        {"currency": "GBPX"},
        {"reference": "r" * 256},
        {"method": 1},
        {"color": "red"},
    ],
)
async def test_a_field_out_of_bounds_is_named(shared_sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    """As 422, and nothing is stored."""
    answer = await ask(shared_sandbox, "/v1/payments", {**GOOD, **wrong})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
    assert answer.json()["error"]["message"].startswith(f"{next(iter(wrong))}: ")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 10_000, 400),
        (b'{"amount": "\\ud800"}', 400),
        (b"[]", 422),
        (b"null", 422),
        (b" " * 17_000, 413),
    ],
)
async def test_an_invalid_body_is_refused(shared_sandbox: Sandbox, content: bytes, status: int) -> None:
    """It is the sender's error, and never ours."""
    answer = await raw(shared_sandbox, "POST", "/v1/payments", content, {"idempotency-key": "k"})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/v1/payments/pay_x", {}, 404),
        ("GET", "/v1/payments/%00%ff", {}, 404),
        ("POST", "/v1/payments/pay_x/capture", {}, 404),
        ("GET", "/v1/payments?after=pay_x", {}, 404),
        ("GET", "/v1/payments?limit=0", {}, 422),
        ("GET", "/v1/payments?limit=1001", {}, 422),
        ("GET", "/v1/payments?limit=x", {}, 422),
        ("POST", "/v1/payments", {}, 422),
        ("POST", "/v1/payments", {"idempotency-key": "k" * 256}, 422),
        ("POST", "/v1/payments/pay_x/void", {"idempotency-key": "\x7f"}, 422),
        ("POST", "/v1/payments/pay_x/refunds", {}, 422),
        ("GET", "/v1/nothing", {}, 404),
        ("DELETE", "/v1/payments", {}, 405),
        ("GET", "/v1/payments", {"authorization": "Bearer wrong"}, 401),
        ("GET", "/v1/payments", {"authorization": "é"}, 401),
    ],
)
async def test_an_impossible_request_is_refused(
    shared_sandbox: Sandbox, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """With a machine-readable error."""
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = await shared_sandbox.control.request(method, path, headers=httpx.Headers(encoded))  # type: ignore[arg-type]
    assert answer.status_code == status
    assert answer.json()["error"]["code"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"fail": 1.1},
        {"delay": -1},
        {"webhook_copies": 0},
        {"webhook_delay": [1]},
        {"webhook_url": "ftp://a"},
        {"webhook_url": "http://a:99999/"},
        {"webhook_url": "http://a/\r\nx: y"},
        {"unknown": 1},
    ],
)
async def test_behavior_has_bounds_too(shared_sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    """A behavior out of them changes nothing."""
    before = (await ask(shared_sandbox, "/v1/behavior", {})).json()
    assert (await ask(shared_sandbox, "/v1/behavior", {"slow": 1, **wrong})).status_code == 422
    assert (await ask(shared_sandbox, "/v1/behavior", {})).json() == before


async def test_more_than_was_authorized_cannot_be_captured(shared_sandbox: Sandbox) -> None:
    """Less can, and money is taken once; the refusal does not use up the key."""
    payment = (await ask(shared_sandbox, "/v1/payments", GOOD)).json()
    path, key = f"/v1/payments/{payment['id']}/capture", str(uuid4())
    refused = await ask(shared_sandbox, path, {"amount": "1.500000001"}, **{"idempotency-key": key})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "amount_too_large")
    taken = await ask(shared_sandbox, path, {"amount": "1"}, **{"idempotency-key": key})
    assert (taken.json()["captured"], taken.json()["status"]) == ("1.000000000", "captured")
    assert (await ask(shared_sandbox, path, {})).json() == taken.json()
