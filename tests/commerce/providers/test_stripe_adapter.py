"""Stripe's adapter, with Stripe's own library, against a stand-in on this machine.

Tests cannot reach Stripe itself. They prove what the library sends and how its responses are read;
that Stripe responds like this is taken from its public reference, which the stand-in follows.
"""

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any
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
from server.commerce.providers.stripe import StripeProvider
from storage.commerce.records import Price, RefundState
from tests.commerce.providers.stripe_stand_in import DECLINED, KEY, Json, StandIn, standing_in

# Stripe's library passes forms to httpx in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

NOTHING = Decimal(0)
VISA = "pm_card_visa"
TEN = Price(Decimal("10.5"), "GBP")


@pytest.fixture(scope="module")
async def listening() -> AsyncIterator[StandIn]:
    async with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
def stripe(listening: StandIn) -> StandIn:
    listening.begin_again()
    return listening


@pytest.fixture
async def provider(stripe: StandIn) -> AsyncIterator[PaymentProvider]:
    opened = StripeProvider(KEY, api_base=stripe.url, page_size=2)
    yield opened
    await opened.close()


async def authorized(provider: PaymentProvider, amount: Price = TEN, method: str = VISA) -> PaymentReport:
    payment_id = uuid4()
    return await provider.authorize(payment_id, amount, method, f"{payment_id}/authorize")


async def captured(provider: PaymentProvider, amount: Price = TEN) -> PaymentReport:
    report = await authorized(provider, amount)
    return await provider.capture(report.provider_id, amount, f"{report.payment_id}/capture")


async def refunded(provider: PaymentProvider, report: PaymentReport, amount: str) -> tuple[UUID, PaymentReport]:
    refund_id = uuid4()
    price = Price(Decimal(amount), report.currency)
    return refund_id, await provider.refund(report.provider_id, refund_id, price, f"{refund_id}/refund")


@pytest.mark.parametrize(("amount", "currency", "units"), [("10.5", "GBP", "1050"), ("500", "JPY", "500")])
async def test_money_is_secured_taken_and_refunded(
    provider: PaymentProvider, stripe: StandIn, amount: str, currency: str, units: str
) -> None:
    """With an intent that is captured manually and carries our ids."""
    price = Price(Decimal(amount), currency)
    secured = await authorized(provider, price)
    assert secured == PaymentReport(secured.payment_id, "pi_1", currency, authorized=price.amount)
    assert stripe.seen == [
        (
            "POST",
            "/v1/payment_intents",
            {
                "amount": units,
                "currency": currency.lower(),
                "capture_method": "manual",
                "metadata": {"payment_id": str(secured.payment_id), "confirmed_by": "server"},
                "automatic_payment_methods": {"enabled": "true", "allow_redirects": "never"},
                "payment_method": VISA,
                "confirm": "true",
            },
        )
    ]
    taken = await provider.capture("pi_1", price, "c")
    assert taken == replace(secured, captured=price.amount)
    refund_id, back = await refunded(provider, taken, amount)
    refund = RefundReport(refund_id, "re_1", price.amount, RefundState.SUCCEEDED)
    assert back == replace(taken, refunded=price.amount, refunds=(refund,))


async def test_a_customer_confirms_a_payment_without_a_method(provider: PaymentProvider, stripe: StandIn) -> None:
    """The browser gets the secret; after a declined card the customer may try another."""
    waiting = await authorized(provider, method="")
    assert (waiting.client_secret, waiting.authorized, waiting.failure) == ("pi_1_secret", NOTHING, "")
    params = stripe.seen[0][2]
    assert (params["automatic_payment_methods"], "confirm" in params) == ({"enabled": "true"}, False)
    stripe.confirm(stripe.intents["pi_1"], "pm_card_visa_chargeDeclined")
    assert await provider.find("pi_1") == waiting
    stripe.confirm(stripe.intents["pi_1"])
    assert await provider.find("pi_1") == replace(waiting, authorized=TEN.amount, client_secret="")


async def test_a_method_that_needs_the_customers_confirmation_waits(provider: PaymentProvider) -> None:
    """It is neither secured nor failed, and the browser gets the secret."""
    report = await authorized(provider, method="pm_card_authenticationRequired")
    assert (report.authorized, report.failure, report.client_secret) == (NOTHING, "", "pi_1_secret")


@pytest.mark.parametrize(
    ("method", "failure", "provider_id"),
    [("pm_card_visa_chargeDeclined", DECLINED["message"], "pi_1"), ("pm_unknown", "resource_missing", "")],
)
async def test_a_decline_is_reported(
    provider: PaymentProvider, stripe: StandIn, method: str, failure: str, provider_id: str
) -> None:
    """A card's with Stripe's text, meant for customers; any other by its code, since its text quotes our request."""
    report = await authorized(provider, method=method)
    assert report == PaymentReport(report.payment_id, provider_id, "GBP", failure=failure)
    for intent_id in stripe.intents:
        assert await provider.find(intent_id) == report


async def test_a_declined_capture_is_reported(provider: PaymentProvider) -> None:
    """Nothing is taken."""
    report = await captured(provider, Price(Decimal("4.02"), "GBP"))
    assert (report.failure, report.captured) == (DECLINED["message"], NOTHING)


async def test_an_amount_finer_than_the_currency_is_reported_as_a_failure(
    provider: PaymentProvider, stripe: StandIn
) -> None:
    """Stripe is called neither to capture nor to refund it."""
    report = await authorized(provider, Price(Decimal("0.001"), "GBP"))
    assert (report.failure, report.provider_id, stripe.seen) == ("the currency has no such amount", "", [])
    taken = await captured(provider)
    refund_id, back = await refunded(provider, taken, "0.001")
    assert back == replace(taken, refunds=(_failed(refund_id, "0.001"),))


async def test_a_request_is_executed_once_per_key(provider: PaymentProvider, stripe: StandIn) -> None:
    """Another payment under the same key is a defect of ours."""
    payment_id = uuid4()
    first = await provider.authorize(payment_id, TEN, VISA, "a")
    assert await provider.authorize(payment_id, TEN, VISA, "a") == first
    with pytest.raises(ProviderMisunderstood):
        await provider.authorize(payment_id, Price(Decimal(11), "GBP"), VISA, "a")
    assert len(stripe.intents) == 1


async def test_a_captured_or_released_payment_is_reported_as_it_is(provider: PaymentProvider) -> None:
    """Under any key: money is captured once, and a captured payment is not released."""
    taken = await captured(provider)
    assert await provider.capture(taken.provider_id, TEN, "again") == taken
    assert await provider.void(taken.provider_id, "v") == taken
    secured = await authorized(provider)
    voided = await provider.void(secured.provider_id, "w")
    assert (voided.voided, voided.captured) == (True, NOTHING)
    assert await provider.capture(secured.provider_id, TEN, "late") == voided
    assert await provider.void(secured.provider_id, "x") == voided


async def test_a_refusal_because_of_the_state_is_not_final(provider: PaymentProvider, stripe: StandIn) -> None:
    """Stripe returns the same refusal under the same key, even after the customer has confirmed."""
    waiting = await authorized(provider, method="")
    assert await provider.capture("pi_1", TEN, "c") == waiting
    stripe.confirm(stripe.intents["pi_1"])
    assert (await provider.capture("pi_1", TEN, "c")).captured == TEN.amount
    assert (await provider.capture("pi_1", TEN, "c")).captured == TEN.amount
    stripe.intents["pi_1"]["status"] = "processing"
    assert not (await provider.void("pi_1", "v")).voided
    stripe.intents["pi_1"]["status"] = "requires_capture"
    assert (await provider.void("pi_1", "v")).voided


async def test_a_pending_refund_does_not_count(provider: PaymentProvider, stripe: StandIn) -> None:
    """Until it has succeeded; a failed one never counts."""
    stripe.refund_status = "pending"
    taken = await captured(provider)
    first, _ = await refunded(provider, taken, "4")
    second, report = await refunded(provider, taken, "3")
    pending = {each.refund_id: each.state for each in report.refunds}
    assert (report.refunded, pending) == (NOTHING, {first: RefundState.PENDING, second: RefundState.PENDING})
    stripe.refunds["re_1"]["status"], stripe.refunds["re_2"]["status"] = "succeeded", "failed"
    report = await provider.find("pi_1")
    assert report.refunded == 4
    assert {each.refund_id: each.state for each in report.refunds} == {
        first: RefundState.SUCCEEDED,
        second: RefundState.FAILED,
    }


async def test_a_refused_refund_is_reported_under_our_id(provider: PaymentProvider) -> None:
    """More than was taken is not refunded, and Stripe stores nothing of it."""
    taken = await captured(provider)
    refund_id, report = await refunded(provider, taken, "10.51")
    assert report == replace(taken, refunds=(_failed(refund_id, "10.51"),))


async def test_all_refunds_are_read(provider: PaymentProvider, stripe: StandIn) -> None:
    """Including those beyond the charge's first page."""
    stripe.embedded = 1
    report = await captured(provider)
    made = {(await refunded(provider, report, "1"))[0] for _ in range(5)}
    report = await provider.find("pi_1")
    assert (report.refunded, {each.refund_id for each in report.refunds}) == (Decimal(5), made)


async def test_the_ledger_is_read_completely(provider: PaymentProvider, stripe: StandIn) -> None:
    """In Stripe's order, the latest first; payments of others have no id of ours."""
    made = [await authorized(provider) for _ in range(4)]
    _, back = await refunded(provider, await captured(provider), "1")
    stripe.intents["pi_1"]["metadata"] = {}
    ledger = [report async for report in provider.ledger()]
    assert ledger == [back, *reversed(made[1:]), replace(made[0], payment_id=None)]


@pytest.mark.parametrize("status", [429, 500, 503, 409])
async def test_a_stripe_that_fails_is_unavailable(provider: PaymentProvider, stripe: StandIn, status: int) -> None:
    """What it did is unknown, and the same key finds out later."""
    stripe.failing = status
    with pytest.raises(ProviderUnavailable, match=str(status)):
        await provider.authorize(uuid4(), TEN, VISA, "a")
    with pytest.raises(ProviderUnavailable):
        await provider.find("pi_1")


async def test_a_stripe_that_cannot_be_reached_is_unavailable() -> None:
    """No process listens on that port."""
    provider = StripeProvider(KEY, api_base="http://127.0.0.1:1")
    with pytest.raises(ProviderUnavailable):
        await provider.find("pi_1")
    await provider.close()


async def test_a_wrong_key_has_an_error_of_its_own(stripe: StandIn) -> None:
    """The call is retried once the setting is corrected, and the log can name it."""
    provider = StripeProvider("sk_wrong", api_base=stripe.url)
    with pytest.raises(ProviderKeyRefused):
        await authorized(provider)
    await provider.close()


async def test_a_payment_that_stripe_does_not_know_is_a_defect(provider: PaymentProvider) -> None:
    """Its id came from Stripe."""
    with pytest.raises(ProviderMisunderstood, match="resource_missing"):
        await provider.find("pi_1")


PAYMENT_ID, REFUND_ID = (UUID(f"0199c4a0-0000-7000-8000-00000000000{number}") for number in (1, 2))
REPORT = PaymentReport(PAYMENT_ID, "pi_1", "GBP", authorized=Decimal("10.5"))
REFUND = {
    "id": "re_1",
    "amount": 400,
    "currency": "gbp",
    "payment_intent": "pi_1",
    "status": "succeeded",
    "metadata": {"refund_id": str(REFUND_ID)},
}
REFUNDED = RefundReport(REFUND_ID, "re_1", Decimal(4), RefundState.SUCCEEDED)
CHARGE = {
    "id": "ch_1",
    "currency": "gbp",
    "payment_intent": "pi_1",
    "amount_captured": 1050,
    "metadata": {"payment_id": str(PAYMENT_ID)},
}


def intent(status: str, **rest: Any) -> Json:
    metadata = {"payment_id": str(PAYMENT_ID), "confirmed_by": "server"}
    return {"id": "pi_1", "currency": "gbp", "amount": 1050, "status": status, "metadata": metadata, **rest}


def event(kind: str, subject: Any) -> bytes:
    return json.dumps({"id": "evt_1", "type": kind, "data": {"object": subject}}).encode()


@pytest.mark.parametrize(
    ("kind", "subject", "report"),
    [
        ("payment_intent.amount_capturable_updated", intent("requires_capture", amount_capturable=1050), REPORT),
        (
            "payment_intent.succeeded",
            intent("succeeded", amount_received=1050, latest_charge="ch_1"),
            replace(REPORT, captured=REPORT.authorized),
        ),
        ("payment_intent.canceled", intent("canceled"), replace(REPORT, authorized=Decimal(0), voided=True)),
        (
            "payment_intent.payment_failed",
            intent("requires_payment_method", last_payment_error=DECLINED),
            replace(REPORT, authorized=Decimal(0), failure=DECLINED["message"]),
        ),
        ("charge.refunded", {**CHARGE, "amount_refunded": 400}, replace(REPORT, captured=REPORT.authorized)),
        (
            "charge.refunded",
            {**CHARGE, "refunds": {"data": [REFUND]}},
            replace(REPORT, captured=REPORT.authorized, refunded=Decimal(4), refunds=(REFUNDED,)),
        ),
        ("refund.updated", REFUND, PaymentReport(None, "pi_1", "GBP", refunded=Decimal(4), refunds=(REFUNDED,))),
        (
            "charge.refund.updated",
            {**REFUND, "status": "pending"},
            PaymentReport(None, "pi_1", "GBP", refunds=(replace(REFUNDED, state=RefundState.PENDING),)),
        ),
        ("refund.created", {**REFUND, "payment_intent": None}, None),
        ("customer.created", {"id": "cus_1"}, None),
    ],
)
def test_an_event_is_read_as_a_report(kind: str, subject: Any, report: PaymentReport | None) -> None:
    """The report is the payment at that moment; an event about anything else is ignored."""
    assert StripeProvider(KEY).read_event(event(kind, subject)) == report


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[]", event("payment_intent.succeeded", {"id": "secret-id"}), event("refund.updated", "secret-id")],
)
def test_an_unreadable_event_has_an_error_of_its_own(body: bytes) -> None:
    """It quotes nothing of the event."""
    with pytest.raises(ValueError, match=r"^this is no event of Stripe$"):
        StripeProvider(KEY).read_event(body)


async def test_neither_keys_nor_payloads_are_logged(
    stripe: StandIn,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not even when everything is captured and STRIPE_LOG enables the library's full log."""
    monkeypatch.setattr("stripe._util.STRIPE_LOG", "debug")
    provider = StripeProvider(KEY, api_base=stripe.url)
    with caplog.at_level(logging.DEBUG):
        report = await authorized(provider)
    await provider.close()
    assert caplog.text
    written = "".join([caplog.text, *capfd.readouterr()])
    for secret in (KEY, "1050", VISA, str(report.payment_id)):
        assert secret not in written


def _failed(refund_id: UUID, amount: str) -> RefundReport:
    return RefundReport(refund_id, str(refund_id), Decimal(amount), RefundState.FAILED)
