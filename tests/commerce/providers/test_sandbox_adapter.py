"""The sandbox's adapter, against the real process."""

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from server.commerce.providers.port import (
    PaymentProvider,
    PaymentReport,
    ProviderKeyRefused,
    ProviderMisunderstood,
    ProviderUnavailable,
    RefundReport,
)
from server.commerce.providers.sandbox import SandboxProvider
from storage.commerce.records import Price, RefundState
from tests.fixtures.sandbox import Sandbox

NOTHING = Decimal(0)
SMALLEST = Decimal("0.000000001")
LARGEST = Decimal("9999999999999999999.999999999")


@pytest.fixture
async def provider(shared_sandbox: Sandbox) -> AsyncIterator[PaymentProvider]:
    opened = SandboxProvider(shared_sandbox.url, shared_sandbox.key, page_size=2)
    yield opened
    await opened.close()


def pounds(amount: str | Decimal) -> Price:
    return Price(Decimal(amount), "GBP")


async def authorized(provider: PaymentProvider, amount: str | Decimal = "10", method: str = "") -> PaymentReport:
    payment_id = uuid4()
    return await provider.authorize(payment_id, pounds(amount), method, f"{payment_id}/authorize")


async def captured(provider: PaymentProvider, amount: str | Decimal = "10", method: str = "") -> PaymentReport:
    report = await authorized(provider, amount, method)
    return await provider.capture(report.provider_id, pounds(amount), f"{report.payment_id}/capture")


async def refunded(provider: PaymentProvider, report: PaymentReport, amount: str | Decimal) -> PaymentReport:
    """The payment with a refund under its own id, which a second call repeats."""
    assert report.payment_id
    return await provider.refund(report.provider_id, report.payment_id, pounds(amount), f"{report.payment_id}/refund")


async def booked(provider: PaymentProvider, *payment_ids: UUID | None) -> list[PaymentReport]:
    """The provider's ledger entries for these payments, in order."""
    return [report async for report in provider.ledger() if report.payment_id in payment_ids]


@pytest.mark.parametrize("amount", [Decimal("12.55"), SMALLEST, LARGEST])
async def test_money_is_secured_taken_and_refunded_exactly(provider: PaymentProvider, amount: Decimal) -> None:
    """From the smallest to the largest amount that can be stored, with our ids as well as the provider's."""
    payment_id, refund_id = uuid4(), uuid4()
    secured = await provider.authorize(payment_id, pounds(amount), "card_ok", f"{payment_id}/authorize")
    assert secured == PaymentReport(payment_id, secured.provider_id, "GBP", authorized=amount)
    taken = await provider.capture(secured.provider_id, pounds(amount), f"{payment_id}/capture")
    assert taken == replace(secured, captured=amount)
    back = await provider.refund(secured.provider_id, refund_id, pounds(amount), f"{refund_id}/refund")
    refund = RefundReport(refund_id, back.refunds[0].provider_id, amount, RefundState.SUCCEEDED)
    assert back == replace(taken, refunded=amount, refunds=(refund,))
    assert await provider.find(secured.provider_id) == back


@pytest.mark.parametrize(
    ("method", "secured"),
    [("card_refused", NOTHING), ("no_such_card", NOTHING), ("é\0", NOTHING), ("card_capture_refused", Decimal(10))],
)
async def test_a_refused_payment_is_reported(provider: PaymentProvider, method: str, secured: Decimal) -> None:
    """With its reason, and nothing is taken, whether it was refused immediately or when it was captured."""
    report = await captured(provider, method=method)
    assert report.failure
    assert (report.authorized, report.captured) == (secured, NOTHING)


@pytest.mark.parametrize(("method", "amount"), [("card_refund_refused", "1"), ("card_ok", "10.000000001")])
async def test_a_refused_refund_is_reported_under_our_id(provider: PaymentProvider, method: str, amount: str) -> None:
    """The bank refuses it, or it is more than was taken; the payment itself does not fail."""
    taken = await captured(provider, method=method)
    report = await refunded(provider, taken, amount)
    assert [(each.refund_id, each.state) for each in report.refunds] == [(taken.payment_id, RefundState.FAILED)]
    assert replace(report, refunds=()) == taken


async def test_a_request_is_executed_once_per_key(provider: PaymentProvider) -> None:
    """Its first response is returned again; another payment under the key is a defect of ours, and does nothing."""
    payment_id = uuid4()
    key = f"{payment_id}/authorize"
    first = await provider.authorize(payment_id, pounds("10"), "", key)
    taken = await provider.capture(first.provider_id, pounds("10"), f"{payment_id}/capture")
    assert await provider.authorize(payment_id, pounds("10"), "", key) == first
    back = await refunded(provider, taken, "4")
    assert await refunded(provider, taken, "4") == back
    assert (back.refunded, len(back.refunds)) == (Decimal(4), 1)
    with pytest.raises(ProviderMisunderstood, match="409 key_reused"):
        await provider.authorize(payment_id, pounds("11"), "", key)
    assert await booked(provider, payment_id) == [back]


async def test_money_is_captured_once_under_any_key(provider: PaymentProvider) -> None:
    """A captured payment cannot be released, nor a released one captured."""
    taken = await captured(provider)
    assert await provider.capture(taken.provider_id, pounds("10"), f"{taken.payment_id}/again") == taken
    assert await provider.void(taken.provider_id, f"{taken.payment_id}/void") == taken
    secured = await authorized(provider)
    voided = await provider.void(secured.provider_id, f"{secured.payment_id}/void")
    assert voided == replace(secured, voided=True)
    assert await provider.capture(secured.provider_id, pounds("10"), f"{secured.payment_id}/capture") == voided


async def test_a_payment_waits_for_its_customer(provider: PaymentProvider, shared_sandbox: Sandbox) -> None:
    """Until then nothing can be captured, and the key of the attempt can be used for the next one."""
    waiting = await authorized(provider, method="card_later")
    assert (waiting.authorized, waiting.failure, waiting.voided) == (NOTHING, "", False)
    key = f"{waiting.payment_id}/capture"
    assert await provider.capture(waiting.provider_id, pounds("10"), key) == waiting
    (await shared_sandbox.control.post(f"/v1/payments/{waiting.provider_id}/confirm")).raise_for_status()
    assert await provider.find(waiting.provider_id) == replace(waiting, authorized=Decimal(10))
    assert (await provider.capture(waiting.provider_id, pounds("10"), key)).captured == 10


@pytest.mark.parametrize(("behavior", "done"), [({"fail": 1}, 0), ({"drop_answers": 1}, 1), ({"delay": 5}, 1)])
async def test_a_request_without_a_response_is_repeated(
    shared_sandbox: Sandbox, behavior: dict[str, object], done: int
) -> None:
    """Whether nothing was done, the connection was cut after the work, or the response took too long."""
    provider = SandboxProvider(shared_sandbox.url, shared_sandbox.key, timeout=0.5)
    payment_id = uuid4()
    key = f"{payment_id}/authorize"
    await shared_sandbox.behave(**behavior)
    with pytest.raises(ProviderUnavailable):
        await provider.authorize(payment_id, pounds("10"), "", key)
    await shared_sandbox.behave(fail=0, drop_answers=0, delay=0)
    assert len(await booked(provider, payment_id)) == done
    report = await provider.authorize(payment_id, pounds("10"), "", key)
    assert (report.payment_id, report.authorized) == (payment_id, Decimal(10))
    assert await booked(provider, payment_id) == [report]
    await provider.close()


async def test_a_slow_card_delays_the_response(shared_sandbox: Sandbox) -> None:
    """The work is done before the response arrives."""
    provider = SandboxProvider(shared_sandbox.url, shared_sandbox.key, timeout=0.5)
    await shared_sandbox.behave(slow=5)
    payment_id = uuid4()
    with pytest.raises(ProviderUnavailable):
        await provider.authorize(payment_id, pounds("10"), "card_slow", f"{payment_id}/authorize")
    assert [report.authorized for report in await booked(provider, payment_id)] == [10]
    await provider.close()


async def test_a_provider_that_has_stopped_is_unavailable(sandbox_here: Sandbox) -> None:
    """Even over the connection that was open."""
    provider = SandboxProvider(sandbox_here.url, sandbox_here.key)
    report = await authorized(provider)
    await sandbox_here.stop()
    for call in (provider.find(report.provider_id), provider.capture(report.provider_id, pounds("10"), "c")):
        with pytest.raises(ProviderUnavailable):
            await call
    await provider.close()


async def test_a_wrong_key_has_an_error_of_its_own(shared_sandbox: Sandbox) -> None:
    """The call is retried once the setting is corrected, and the log can name it."""
    provider = SandboxProvider(shared_sandbox.url, "wrong")
    with pytest.raises(ProviderKeyRefused):
        await authorized(provider)
    await provider.close()


async def test_the_ledger_is_read_completely_and_in_order(provider: PaymentProvider) -> None:
    """Over its pages, whatever state the payments are in."""
    made = [
        await captured(provider),
        await captured(provider, method="card_refused"),
        await authorized(provider),
        await authorized(provider, method="card_later"),
    ]
    assert await booked(provider, *(report.payment_id for report in made)) == made


async def test_payments_and_refunds_made_by_others_have_no_id_of_ours(
    provider: PaymentProvider, shared_sandbox: Sandbox
) -> None:
    """They were made at the provider, under its own references."""
    body = {"amount": "1", "currency": "GBP", "reference": "by hand"}
    keyed = {"idempotency-key": str(uuid4())}
    made = (await shared_sandbox.control.post("/v1/payments", json=body, headers=keyed)).json()
    await shared_sandbox.control.post(f"/v1/payments/{made['id']}/capture")
    keyed = {"idempotency-key": str(uuid4())}
    await shared_sandbox.control.post(f"/v1/payments/{made['id']}/refunds", json={"amount": "1"}, headers=keyed)
    report = await provider.find(made["id"])
    assert (report.payment_id, report.refunded, report.refunds[0].refund_id) == (None, Decimal(1), None)


PAYMENT = (
    '{"id": "pay_1", "reference": "%s", "currency": "GBP", "amount": "2", "status": "captured", "authorized": "2",'
    ' "captured": "2.000000001", "refunded": "0", "failure": "", "voided": false, "refunds": []}'
)


def test_an_event_is_read_as_a_report() -> None:
    """An event about anything else is ignored."""
    provider = SandboxProvider("http://127.0.0.1:1", "")
    payment_id = UUID("0199c4a0-0000-7000-8000-000000000001")
    body = '{"type": "payment.captured", "id": "evt_1", "data": ' + PAYMENT % payment_id + "}"
    report = PaymentReport(payment_id, "pay_1", "GBP", authorized=Decimal(2), captured=Decimal("2.000000001"))
    assert provider.read_event(body.encode()) == report
    assert provider.read_event(b'{"type": "payout.paid", "id": "evt_2", "data": {}}') is None


SPOILED: list[Callable[[str], bytes]] = [
    lambda _: b"",
    lambda _: b"\xff",
    lambda _: b"[" * 10_000,
    lambda _: b'{"type": "payment.captured"}',
    lambda payment: payment.replace("pay_1", "\\ud800").encode(),
    lambda payment: payment.replace('"2.000000001"', '"NaN"').encode(),
    lambda payment: payment.replace('"voided": false', '"voided": 7').encode(),
]


@pytest.mark.parametrize("spoil", SPOILED)
def test_an_unreadable_event_has_an_error_of_its_own(spoil: Callable[[str], bytes]) -> None:
    """It quotes nothing of the event."""
    body = spoil('{"type": "payment.captured", "id": "evt_1", "data": ' + PAYMENT % "secret-reference" + "}")
    with pytest.raises(ValueError, match=r"^this is no event of the sandbox$"):
        SandboxProvider("http://127.0.0.1:1", "").read_event(body)


async def test_neither_keys_nor_payloads_are_logged(
    provider: PaymentProvider, shared_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even when everything that the libraries log is captured."""
    with caplog.at_level(logging.DEBUG):
        report = await authorized(provider, "77.125", method="a-token-of-a-card")
    assert caplog.text
    for secret in (shared_sandbox.key, "77.125", "a-token-of-a-card", str(report.payment_id)):
        assert secret not in caplog.text
